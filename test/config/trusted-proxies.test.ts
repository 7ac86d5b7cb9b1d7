import assert from 'node:assert/strict'
import { test } from 'node:test'
import Fastify from 'fastify'
import { readConfig } from '../../src/config/read.ts'
import { trustedProxies } from '../../src/config/trusted-proxies.ts'

/** The address a request counts for that comes from `from` and says it was forwarded for `chain`. */
async function addressWith(setting: string, from: string, chain: string): Promise<string> {
  const app = Fastify({ trustProxy: trustedProxies(setting)! })
  app.get('/', async (request) => request.ip)
  const { body } = await app.inject({ url: '/', remoteAddress: from, headers: { 'x-forwarded-for': chain } })
  await app.close()
  return body
}

test('of X-Forwarded-For only the entries of our own proxies count, whatever a client wrote before them', async () => {
  const chain = '6.6.6.6, 203.0.113.9, 10.0.0.2' // a lie, the client, the first proxy; the second connects
  for (const [setting, address] of [
    ['false', '10.0.0.3'],
    ['0', '10.0.0.3'],
    ['true', '10.0.0.2'],
    ['1', '10.0.0.2'],
    ['2', '203.0.113.9'],
    ['10.0.0.0/8', '203.0.113.9'],
    ['10.0.0.3', '10.0.0.2'],
    ['10.0.0.3, 10.0.0.2', '203.0.113.9'],
    ['loopback', '10.0.0.3'],
    ['uniquelocal', '203.0.113.9']
  ] as const) {
    assert.equal(await addressWith(setting, '10.0.0.3', chain), address, setting)
  }
  assert.equal(await addressWith('fd00::/8', 'fd00::3', '2001:db8::1'), '2001:db8::1')
})

test('with a list of addresses, the header of a client that connects directly is ignored', async () => {
  assert.equal(await addressWith('10.0.0.0/8', '203.0.113.9', '6.6.6.6'), '203.0.113.9')
})

test('a value that is no number and no address is a mistake that says what is allowed', () => {
  for (const text of [
    'yes',
    '10',
    '-1',
    '1.5',
    '10.0.0',
    '10.0.0.0/33',
    '::1/129',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.1/',
    'proxy.example',
    '10.0.0.1,',
    '10.0.0.1/8/8'
  ]) {
    const { mistakes } = readConfig({ TRUST_PROXY: text })
    assert.equal(mistakes?.length, 1, text)
    assert.match(
      mistakes[0]!,
      /^TRUST_PROXY must be true, false, a number of proxies from 0 to 9, or addresses like .*, not "/
    )
  }
  for (const text of ['true', 'FALSE', '3', '::1', '10.0.0.0/8, fd00::/8', 'loopback,linklocal'])
    assert.equal(readConfig({ TRUST_PROXY: text }).config?.TRUST_PROXY, text)
})
