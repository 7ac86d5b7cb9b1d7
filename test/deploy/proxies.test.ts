import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { get } from 'node:https'
import { type TestContext, test } from 'node:test'
import { readConfig } from '../../src/config/read.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { atEnd } from '../helpers/at-end.ts'
import { openL2psPeer, sendFrame } from '../helpers/l2ps-peer.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { openPeer } from '../helpers/peer.ts'
import { needs } from '../helpers/programs.ts'
import { startFrameProxy } from '../helpers/proxy.ts'
import { type Settings, startTestServer, type TestServer } from '../helpers/server.ts'
import { PROXIES, type RunningProxy, seededIdentity } from './proxies.ts'

const ALICE = '127.0.0.1'
const STRANGER = '127.0.0.2'

const message = (targetId: string, text: unknown) => ({ type: 'message', payload: { targetId, message: text } })

async function metric(server: TestServer, line: string): Promise<number> {
  const text = await server.app.metrics.text()
  const found = text.split('\n').find((each) => each.startsWith(line))
  return Number(found?.split(' ').at(-1) ?? 0)
}

const delivered = (server: TestServer, protocol: string, receipt: string) =>
  metric(server, `demos_relay_messages_delivered_total{protocol="${protocol}",receipt="${receipt}"}`)

async function peerProcess(t: TestContext, url: string, clientId: string, seed: string): Promise<ChildProcess> {
  const child = fork(ownFile('test/deploy/frozen-peer.ts'), [url, clientId, seed], { execArgv: [...OWN_OPTIONS] })
  atEnd(t, () => child.kill('SIGKILL'))
  assert.deepEqual(await once(child, 'message'), ['registered', undefined])
  return child
}

/** How the proxy answers a GET of this path, sent as it is, to somebody at `localAddress`. */
async function statusFor({ url, ca }: RunningProxy, path: string, localAddress: string): Promise<number> {
  const { hostname, port } = new URL(url)
  const request = get({ host: hostname, port, path, ca, localAddress })
  const [response] = await once(request, 'response')
  response.resume()
  return response.statusCode
}

for (const [name, start] of Object.entries(PROXIES)) {
  const program = needs(name, 'openssl')
  const behindProxy = async (t: TestContext, settings: Settings = {}) => {
    const server = await startTestServer(t, { TRUST_PROXY: 'loopback', ...settings })
    return { server, proxy: await start(t, server) }
  }

  test(
    `behind ${name} peers register, talk and find what waited for them; every receipt is a pong`,
    program,
    async (t) => {
      const { server, proxy } = await behindProxy(t)
      const { ca } = proxy
      const [alice, bob] = [await openPeer(t, proxy.url, { ca }), await openPeer(t, `${proxy.url}/signaling`, { ca })]
      await alice.register('alice')
      await bob.register('bob')
      for (let n = 1; n <= 20; n++) alice.send(message('bob', n))
      for (let n = 1; n <= 20; n++) assert.equal((await bob.next('message')).payload.message, n)
      const large = 'x'.repeat(200_000)
      alice.send(message('bob', large))
      assert.equal((await bob.next('message')).payload.message, large)
      await server.emptied()

      const owner = bob.identity
      await bob.close()
      await alice.next('peer_disconnected')
      for (let n = 1; n <= 5; n++) alice.send(message('bob', `waits ${n}`))
      for (let n = 1; n <= 5; n++) await alice.next('message_queued')
      const again = await openPeer(t, proxy.url, { ca })
      await again.register('bob', owner)
      for (let n = 1; n <= 5; n++) assert.equal((await again.next('message')).payload.message, `waits ${n}`)
      await again.nothingMore()
      await server.emptied()
      assert.equal(await delivered(server, 'signaling', 'pong'), 26)
      assert.equal(await delivered(server, 'signaling', 'none'), 0)
      assert.equal(await metric(server, 'demos_relay_proxy_pongs_total{protocol="signaling"}'), 0)
    }
  )

  test(`behind ${name} L2PS is at its path and at the root of its own door`, program, async (t) => {
    const { server, proxy } = await behindProxy(t)
    const { ca } = proxy
    await server.addNetworks('net')
    const alice = await openL2psPeer(t, `${proxy.url}/l2ps`, { ca })
    const bob = await openL2psPeer(t, proxy.l2psListener, { ca })
    await alice.register('net')
    await bob.register('net')
    alice.send('send', sendFrame(bob.key).payload as object)
    await bob.next('message')
    await server.emptied()
    assert.equal(await delivered(server, 'l2ps', 'pong'), 1)
  })

  test(
    `behind ${name} a frozen client gets no false receipt, and its message again when it is back`,
    program,
    async (t) => {
      const { server, proxy } = await behindProxy(t, { PONG_DEADLINE_SECONDS: 1 })
      const seed = randomBytes(32).toString('hex')
      const alice = await server.join('alice')
      const frozen = await peerProcess(t, proxy.url, 'bob', seed)
      alice.send(message('bob', 'while awake'))
      assert.deepEqual(await once(frozen, 'message'), ['message', undefined])
      await server.emptied()

      frozen.kill('SIGSTOP')
      alice.send(message('bob', 'while frozen'))
      assert.equal((await alice.next('peer_disconnected')).payload.peerId, 'bob') // it was silent for too long
      await server.app.mailboxes.drained()
      assert.equal(await delivered(server, 'signaling', 'pong'), 1)
      const bob = await openPeer(t, proxy.url, { ca: proxy.ca })
      await bob.register('bob', await seededIdentity(seed))
      assert.equal((await bob.next('message')).payload.message, 'while frozen')
      await server.emptied()
    }
  )

  test(`behind ${name} limits count the client's own address, whatever it claims`, program, async (t) => {
    const { server, proxy } = await behindProxy(t, { MAX_UNREGISTERED_PER_ADDRESS: 1 })
    const from = (localAddress: string, headers = {}) => openPeer(t, proxy.url, { ca: proxy.ca, localAddress, headers })
    await from(ALICE)
    await assert.rejects(from(ALICE), /429/)
    const lies = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9', 'x-real-ip': '203.0.113.9' }
    await assert.rejects(from(ALICE, lies), /429/)
    await from(STRANGER)
    await assert.rejects(from(STRANGER), /429/)
    assert.deepEqual(
      [...server.app.sessions.all()].map(({ address }) => address),
      [ALICE, STRANGER]
    )
  })

  test(`${name} shows strangers what is for everybody and nothing else`, program, async (t) => {
    const { proxy } = await behindProxy(t)
    assert.equal(await statusFor(proxy, '/health/live', STRANGER), 200)
    assert.equal(await statusFor(proxy, '/', STRANGER), 426)
    for (const path of [
      ...[
        '/admin/stats',
        '/metrics',
        '/health/ready',
        '/console',
        '/console/',
        '/docs',
        '/docs/openapi.json',
        '/nowhere'
      ],
      ...['//metrics', '/%6detrics', '/audit/../metrics', '/audit/%2e%2e/metrics', '/health/live/../../metrics']
    ]) {
      assert.ok([403, 404].includes(await statusFor(proxy, path, STRANGER)), path)
    }
    assert.equal(await statusFor(proxy, '/metrics', ALICE), 200)
    assert.equal(await statusFor(proxy, '/admin/stats', ALICE), 401)
  })
}

test('without TRUST_PROXY a client that writes X-Forwarded-For counts for its own address', async (t) => {
  const server = await startTestServer(t, { MAX_UNREGISTERED_PER_ADDRESS: 1 })
  const headers = { 'x-forwarded-for': '203.0.113.9' }
  await server.peer()
  for (const door of [server.addresses.signaling, server.addresses.l2ps!]) {
    await assert.rejects(openPeer(t, door, { headers }), /429/)
  }
})

test('a proxy that answers pings itself vouches for a frozen client: what those of deploy/ must not do', async (t) => {
  const server = await startTestServer(t)
  const seed = randomBytes(32).toString('hex')
  const alice = await server.join('alice')
  const frozen = await peerProcess(t, await startFrameProxy(t, server.addresses.signaling), 'bob', seed)
  frozen.kill('SIGSTOP')
  alice.send(message('bob', 'never read'))
  await alice.nothingMore()
  await server.emptied()
  assert.equal(await delivered(server, 'signaling', 'pong'), 1)
})

test('both proxies close a quiet socket later than the relay finds a dead peer', async () => {
  const { HEARTBEAT_SECONDS, PONG_DEADLINE_SECONDS } = readConfig({}).config!
  const [nginx, haproxy] = await Promise.all(
    ['deploy/nginx.conf', 'deploy/haproxy.cfg'].map((path) => readFile(packageFile(path), 'utf8'))
  )
  for (const timeout of [
    /proxy_read_timeout (\d+)s/.exec(nginx!),
    /proxy_send_timeout (\d+)s/.exec(nginx!),
    /timeout tunnel (\d+)s/.exec(haproxy!)
  ]) {
    assert.ok(Number(timeout?.[1]) > HEARTBEAT_SECONDS + PONG_DEADLINE_SECONDS, timeout?.[0])
  }
})
