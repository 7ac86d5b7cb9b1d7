import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { nodeWords } from '../../../src/anchor/demos-rpc/errors.ts'
import { createNodeClient } from '../../../src/anchor/demos-rpc/node-client.ts'
import { createWallet } from '../../../src/anchor/demos-rpc/transaction.ts'
import { createTransport, type TransportOptions } from '../../../src/anchor/demos-rpc/transport.ts'
import { atEnd } from '../../helpers/at-end.ts'
import type { FakeNode, Fault } from './fake-node.ts'
import { address, rejection, seed, stage, vectors } from './setup.ts'

const LIMITS = { deadlineMs: 2_000, retries: 4, pauseMs: 250, maxPauseMs: 8_000, maxReplyBytes: 10_000 }

function clientOf(url: string, changes: Partial<TransportOptions> = {}, clock = Date.now) {
  const pauses: number[] = []
  const wait = async (ms: number): Promise<void> => void pauses.push(ms)
  const transport = createTransport({ ...LIMITS, url, wait, clock, ...changes })
  return { pauses, client: createNodeClient({ transport, wallet: createWallet(seed), clock }) }
}

/** Meets every request with the next of these faults, and none after the last. */
function queueFaults(node: FakeNode, ...faults: (Fault | undefined)[]): void {
  node.fault = () => faults.shift()
}

describe('demos-rpc node client', () => {
  test('the captured exchange: method order, bodies and headers, byte for byte', async (t) => {
    const { url, seen } = await startScript(t)
    const signedAt = vectors.exchange.map(({ headers }) => Number(headers.timestamp)).filter((ms) => ms > 0)
    const { client } = clientOf(url, {}, () => signedAt.shift()!)

    assert.deepEqual(await client.fees(), { networkFee: 1, rpcFee: 0 })
    assert.equal(await client.osDenomination(), false)
    const confirmation = await client.confirm(vectors.signedTransaction)
    await client.broadcast(confirmation)
    const status = await client.transactionStatus(vectors.signedTransaction.hash)

    assert.deepEqual(status, { state: 'included', blockNumber: 12 })
    const captured = vectors.exchange.slice(1) // the first is the SDK's GET / to see whether anybody is there
    assert.deepEqual(
      seen.map(({ body }) => body),
      captured.map(({ body }) => JSON.stringify(body))
    )
    assert.deepEqual(
      seen.map(({ line }) => line),
      captured.map(({ method, path }) => `${method} ${path}`)
    )
    for (const [index, { headers }] of captured.entries()) {
      for (const name of ['identity', 'signature', 'timestamp', 'content-type']) {
        assert.equal(seen[index]!.headers[name], headers[name], `${name} of request ${index}`)
      }
    }
  })

  test('numbers of the account and the chain', async (t) => {
    const { node } = await stage(t)
    Object.assign(node.ledger, { foreign: 41, mineEvery: 0 })
    const { client } = clientOf(node.url)
    assert.equal(await client.addressNonce(address), 41)
    assert.equal(await client.lastBlockNumber(), 11)
    assert.deepEqual(await client.transactionStatus('ab'.repeat(32)), { state: 'unknown' })
  })

  test('a node that publishes no fees and knows no forks is an older one', async (t) => {
    const { node } = await stage(t)
    const { client } = clientOf(node.url)
    node.ledger.networkFee = undefined
    assert.deepEqual(await client.fees(), { networkFee: 1, rpcFee: 0 })
    for (const reply of [
      { result: 404, response: 'Unknown message' },
      { result: 200, response: null }
    ]) {
      queueFaults(node, { kind: 'reply', reply })
      assert.equal(await client.osDenomination(), false)
    }
  })

  for (const [name, fault] of [
    ['502', { kind: 'status', status: 502 }],
    ['503', { kind: 'status', status: 503 }],
    ['504', { kind: 'status', status: 504 }],
    ['429', { kind: 'status', status: 429 }],
    ['a reset', { kind: 'reset' }],
    ['a reset in the middle of the reply', { kind: 'reset mid-reply' }]
  ] as [string, Fault][]) {
    test(`${name} is tried again after growing pauses`, async (t) => {
      const { node } = await stage(t)
      queueFaults(node, fault, fault, fault)
      const { client, pauses } = clientOf(node.url)
      assert.equal(await client.addressNonce(address), 0)
      assert.deepEqual(pauses, [250, 500, 1_000])
    })
  }

  test('it gives up after five attempts', async (t) => {
    const { node } = await stage(t)
    node.fault = () => ({ kind: 'status', status: 502 })
    const error = await rejection(clientOf(node.url).client.addressNonce(address))
    assert.equal(error.code, 'UNREACHABLE')
    assert.equal(node.requests.length, 5)
  })

  test('Retry-After is honoured, as seconds and as a date', async (t) => {
    const { node } = await stage(t)
    const busy = (after: string): Fault => ({ kind: 'status', status: 503, headers: { 'retry-after': after } })
    const now = Date.parse('2030-01-01T00:00:00Z')
    queueFaults(node, busy('3'), busy('Tue, 01 Jan 2030 00:00:07 GMT'), busy('soon'))
    const { client, pauses } = clientOf(node.url, {}, () => now)
    await client.addressNonce(address)
    assert.deepEqual(pauses, [3_000, 7_000, 1_000])
  })

  test('a node that wants to be left alone for long is, and says for how long', async (t) => {
    const { node } = await stage(t)
    queueFaults(node, { kind: 'status', status: 503, headers: { 'retry-after': '600' } })
    const { client, pauses } = clientOf(node.url)
    const error = await rejection(client.addressNonce(address))
    assert.deepEqual([error.code, error.retryAfterMs, pauses, node.requests.length], ['UNREACHABLE', 600_000, [], 1])
  })

  test('a slow node meets the deadline', async (t) => {
    const { node } = await stage(t)
    node.fault = () => ({ kind: 'slow', ms: 500 })
    const { client, pauses } = clientOf(node.url, { deadlineMs: 50, retries: 1 })
    const error = await rejection(client.addressNonce(address))
    assert.match(error.message, /UNREACHABLE.*TimeoutError/)
    assert.equal(pauses.length, 1)
  })

  test('a reply that trickles for ever meets the deadline too', async (t) => {
    const server = createServer((_request, response) => {
      const timer = setInterval(() => response.write(' '), 10)
      response.on('close', () => clearInterval(timer))
    })
    const error = await rejection(clientOf(await listen(t, server), { deadlineMs: 100, retries: 0 }).client.fees())
    assert.match(error.message, /UNREACHABLE.*TimeoutError/)
  })

  test('the signal ends a request at once, with its own reason', async (t) => {
    const { node } = await stage(t)
    const stop = new AbortController()
    node.fault = () => {
      setImmediate(() => stop.abort(new Error('the server stops')))
      return { kind: 'slow', ms: 1_000 }
    }
    const { client } = clientOf(node.url, { signal: stop.signal })
    await assert.rejects(client.addressNonce(address), /the server stops/)
  })

  for (const [name, fault, words] of [
    ['garbage', { kind: 'text', text: '{"result":200,' }, /not JSON/],
    ['nothing', { kind: 'text', text: '' }, /not JSON/],
    ['invalid UTF-8', { kind: 'text', text: Buffer.from([0x22, 0xff, 0x22]) as unknown as string }, /not JSON/],
    ['another JSON', { kind: 'reply', reply: [1, 2] }, /HTTP 200 without a result/],
    ['null', { kind: 'reply', reply: null }, /without a result/],
    [
      'a negative nonce',
      { kind: 'reply', reply: { result: 200, response: -1 } },
      /response must be a whole number of at least 0/
    ],
    [
      'a nonce with a fraction',
      { kind: 'reply', reply: { result: 200, response: 1.5 } },
      /response must be a whole number/
    ],
    ['no nonce', { kind: 'reply', reply: { result: 200 } }, /response is missing: it must be a whole number/],
    ['a huge body', { kind: 'huge', bytes: 5_000_000 }, /larger than 10000 bytes/],
    [
      'a redirect',
      { kind: 'status', status: 307, headers: { location: 'http://127.0.0.1:1/' }, body: {} },
      /HTTP 307 without a result/
    ],
    ['HTTP 500 in HTML', { kind: 'status', status: 500 }, /not JSON/]
  ] as [string, Fault, RegExp][]) {
    test(`${name} is a BAD_REPLY, and not asked for again`, async (t) => {
      const { node } = await stage(t)
      queueFaults(node, fault)
      const error = await rejection(clientOf(node.url).client.addressNonce(address))
      assert.equal(error.code, 'BAD_REPLY', error.message)
      assert.match(error.message, words)
      assert.equal(node.requests.length, 1)
    })
  }

  test('every other call checks its reply as well', async (t) => {
    const { node } = await stage(t)
    const { client } = clientOf(node.url)
    const wrong = (response: unknown): Fault => ({ kind: 'reply', reply: { result: 200, response } })
    const calls: [() => Promise<unknown>, unknown][] = [
      [() => client.fees(), { networkFee: '1' }],
      [() => client.fees(), { networkFee: -1 }],
      [() => client.osDenomination(), { forks: {} }],
      [() => client.lastBlockNumber(), '12'],
      [() => client.transactionStatus('00'), { state: 'perhaps' }],
      [() => client.confirm(vectors.signedTransaction), { data: { valid: 'yes' } }],
      [() => client.confirm(vectors.signedTransaction), { data: { valid: true } }],
      [() => client.confirm(vectors.signedTransaction), { data: { valid: true, transaction: { hash: 'another' } } }]
    ]
    for (const [call, response] of calls) {
      queueFaults(node, wrong(response))
      assert.equal((await rejection(call())).code, 'BAD_REPLY', JSON.stringify(response))
    }
  })

  test('result 200 with valid false is a refusal, in the words of the node', async (t) => {
    const { node } = await stage(t)
    const { client } = clientOf(node.url)
    const verdicts: [string, string][] = [
      ['GCREdit mismatch', 'REFUSED'],
      ['Insufficient balance: required 1, available 0', 'INSUFFICIENT_BALANCE'],
      ['[BALANCE ERROR] Insufficient balance for gas; required: 3', 'INSUFFICIENT_BALANCE']
    ]
    for (const [message, code] of verdicts) {
      queueFaults(node, { kind: 'reply', reply: { result: 200, response: { data: { valid: false, message } } } })
      const error = await rejection(client.confirm(vectors.signedTransaction))
      assert.equal(error.message, `${code}: confirmTx: ${message}`)
      assert.ok(code === 'REFUSED' || error.retryAfterMs >= 3_600_000)
    }
  })

  test('a broadcast is refused in several forms, and a duplicate is a success', async (t) => {
    const { node } = await stage(t)
    const { client } = clientOf(node.url)
    const replies: [object, string | undefined][] = [
      [{ result: 400, response: false, extra: 'Invalid signature key' }, 'REFUSED'],
      [{ result: 200, response: false, extra: 'Invalid block reference' }, 'STALE_REFERENCE'],
      [{ result: 200, response: {}, extra: { error: 'Error: Failed to add transaction to mempool' } }, 'REFUSED'],
      [
        { result: 400, response: false, extra: { error: 'Failed to apply GCREdit: Insufficient balance' } },
        'INSUFFICIENT_BALANCE'
      ],
      [{ result: 500, response: null }, 'REFUSED'],
      [{ result: 400, response: false, extra: 'Transaction already in mempool' }, undefined],
      [{ result: 400, response: {}, extra: { error: 'Transaction already executed' } }, undefined]
    ]
    for (const [reply, code] of replies) {
      queueFaults(node, { kind: 'reply', reply })
      const outcome = client.broadcast({ result: 200, response: {} })
      if (code === undefined) await outcome
      else assert.equal((await rejection(outcome)).code, code, JSON.stringify(reply))
    }
  })

  test('HTTP 401 is an error of its own', async (t) => {
    const { node } = await stage(t)
    const { client } = clientOf(node.url, {}, () => Date.now() - 600_000)
    const error = await rejection(client.confirm(vectors.signedTransaction))
    assert.equal(error.message, 'UNAUTHORIZED: confirmTx: Invalid signature')
  })

  test('credentials of the URL travel as a header, and no error tells them or the key', async (t) => {
    const { node } = await stage(t)
    const { client } = clientOf(node.url.replace('//', '//relay:hunter%202@'), { retries: 0 })
    await client.addressNonce(address)
    assert.equal(node.requests[0]!.headers.authorization, `Basic ${Buffer.from('relay:hunter 2').toString('base64')}`)
    const faults: Fault[] = [{ kind: 'reset' }, { kind: 'text', text: 'x' }, { kind: 'status', status: 401, body: {} }]
    for (const fault of faults) {
      queueFaults(node, fault)
      const error = await rejection(client.confirm(vectors.signedTransaction))
      assert.doesNotMatch(`${error.stack} ${JSON.stringify(error)}`, /hunter|Basic|742ffcdc/)
    }
    assert.throws(
      () => clientOf('relay:hunter2@node'),
      (error: Error) => !error.message.includes('hunter2')
    )
  })

  test('the words of a node become one short line of ASCII', () => {
    assert.equal(nodeWords('a\nb\u001b[31m\u2028c'), 'a b [31m c')
    assert.equal(nodeWords({ message: 'x'.repeat(10_000) }).length, 200)
    assert.equal(nodeWords({}), 'the node gave no reason')
  })
})

/** Answers with the replies of the vectors, and checks nothing. */
async function startScript(t: TestContext) {
  const seen: { line: string; headers: NodeJS.Dict<string | string[]>; body: string }[] = []
  const parameters = { result: 200, response: { networkFee: 1, rpcFee: 0 } }
  const network = { result: 200, response: { forks: { osDenomination: { activated: false } } } }
  const { confirmTx, broadcastTx, getTransactionStatus } = vectors.fakeReplies
  const replies = [parameters, network, confirmTx, broadcastTx, getTransactionStatus]
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    seen.push({ line: `${request.method} ${request.url}`, headers: request.headers, body })
    response.end(JSON.stringify(replies.shift()))
  })
  return { url: await listen(t, server), seen }
}

async function listen(t: TestContext, server: ReturnType<typeof createServer>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(t, () => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
