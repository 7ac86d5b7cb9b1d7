import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { DemosRpcError } from '../../../src/audit/demos-rpc/errors.ts'
import { signTransaction } from '../../../src/audit/demos-rpc/transaction.ts'
import type { Fault, SeenRequest } from './fake-node.ts'
import { address, checkpoint, type Stage, seed, stage } from './setup.ts'

const FULL_FLOW = [
  'getNetworkParameters',
  'getNetworkInfo',
  'getAddressNonce',
  'confirmTx',
  'broadcastTx',
  'getTransactionStatus'
]

async function rejection(promise: Promise<unknown>): Promise<DemosRpcError> {
  return promise.then(
    () => assert.fail('it did not reject'),
    (error) => error
  )
}

/** The first request of this kind, or the one after `skip` of them, meets the fault. */
function onCall({ node }: Stage, call: string, fault: Fault, skip = 0): void {
  let left = skip
  let done = false
  node.fault = (request: SeenRequest) => {
    if (done || request.call !== call || left-- > 0) return undefined
    done = true
    return fault
  }
}

function assertOnce({ node }: Stage, ...sizes: number[]): void {
  const expected = sizes.map((size) => {
    const { network, origin, rootHash } = checkpoint(size)
    return [`${network}/${origin} ${size}:${rootHash}`, 1]
  })
  assert.deepEqual([...node.ledger.anchored()].sort(), expected.sort())
}

describe('demos-rpc anchor', () => {
  test('a checkpoint becomes one transaction in a block, by the captured order of calls', async (t) => {
    const scene = await stage(t)
    const { reference } = await scene.start().anchor(checkpoint())
    assert.deepEqual(scene.node.calls().slice(0, 6), FULL_FLOW)
    assert.equal(scene.node.ledger.included[0]?.transaction.hash, reference)
    assertOnce(scene, 1)
    assert.deepEqual(
      scene.lines.map(({ level, text }) => [level, text]),
      [['info', 'checkpoint anchored']]
    )
  })

  test('the note and the body of nothing go along: the chain sees hashes and names only', async (t) => {
    const scene = await stage(t)
    await scene.start().anchor({ ...checkpoint(), network: 'zoë 日本' })
    const sent = scene.node.requests.map(({ body }) => body).join('')
    assert.doesNotMatch(sent, /a signed note|[^\x20-\x7e]/)
  })

  test('after the osDenomination fork the same in OS', async (t) => {
    const scene = await stage(t)
    Object.assign(scene.node.ledger, { osDenomination: true, networkFee: 10, rpcFee: 3 })
    await scene.start().anchor(checkpoint())
    assertOnce(scene, 1)
  })

  test('anchoring again, at the same time or after a restart, costs nothing', async (t) => {
    const scene = await stage(t)
    const anchor = scene.start()
    const [one, two] = await Promise.all([anchor.anchor(checkpoint()), anchor.anchor(checkpoint())])
    const three = await scene.start().anchor(checkpoint())
    assert.equal(new Set([one.reference, two.reference, three.reference]).size, 1)
    assertOnce(scene, 1)
  })

  test('several checkpoints at once get nonces in a row, while the ledger still tells the old one', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.nonceLag = 3
    scene.node.ledger.mineEvery = 20
    const anchor = scene.start()
    await Promise.all([1, 2, 3, 4, 5].map((size) => anchor.anchor(checkpoint(size))))
    const nonces = scene.node.ledger.included.map(({ transaction }) => transaction.content.nonce)
    assert.deepEqual(nonces, [1, 2, 3, 4, 5])
    assertOnce(scene, 1, 2, 3, 4, 5)
  })

  test('nonces go on after a restart although nothing is in a block yet', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    const impatient = { patience: { settleMs: 4_000 } }
    assert.equal((await rejection(scene.start(impatient).anchor(checkpoint(1)))).code, 'UNSETTLED')
    assert.equal((await rejection(scene.start(impatient).anchor(checkpoint(2)))).code, 'UNSETTLED')
    scene.node.ledger.mine()
    await scene.start().anchor(checkpoint(1))
    await scene.start().anchor(checkpoint(2))
    assert.equal(scene.store.rows.length, 2)
    assertOnce(scene, 1, 2)
  })

  test('the transaction is in the store before it is sent', async (t) => {
    const scene = await stage(t)
    const remembered: [string, number][] = []
    scene.node.fault = ({ call }) => {
      remembered.push([call, scene.store.rows.length])
      return undefined
    }
    await scene.start().anchor(checkpoint())
    assert.deepEqual(remembered.slice(3, 5), [
      ['confirmTx', 0],
      ['broadcastTx', 1]
    ])
    scene.store.remember = () => Promise.reject(new Error('disk full'))
    await assert.rejects(scene.start().anchor(checkpoint(2)), /disk full/)
    assert.equal(scene.node.calls().filter((call) => call === 'broadcastTx').length, 1)
  })

  for (const mempool of ['kept', 'lost'] as const) {
    test(`a node that dies after accepting, its mempool ${mempool}: anchored once`, async (t) => {
      const scene = await stage(t)
      scene.node.ledger.mineEvery = 0
      onCall(scene, 'broadcastTx', { kind: 'crash after accepting' })
      assert.equal((await rejection(scene.start().anchor(checkpoint()))).code, 'UNREACHABLE')
      scene.node.restart()
      scene.node.ledger.mineEvery = 1
      if (mempool === 'lost') scene.node.ledger.mempool = []
      const { reference } = await scene.start().anchor(checkpoint())
      assert.equal(reference, scene.store.rows[0]?.submission.hash)
      assert.equal(scene.store.rows.length, 1)
      assertOnce(scene, 1)
    })
  }

  test('a process that dies between sending and hearing sends the very same bytes again', async (t) => {
    const scene = await stage(t)
    const stop = new AbortController()
    onCall(scene, 'broadcastTx', { kind: 'reset' })
    scene.node.fault = ((fault) => (request: SeenRequest) => {
      if (request.call === 'broadcastTx') setImmediate(() => stop.abort(new Error('killed')))
      return fault(request)
    })(scene.node.fault)
    await assert.rejects(scene.start({ signal: stop.signal }).anchor(checkpoint()), /killed/)
    await scene.start().anchor(checkpoint())
    const confirmed = scene.node.requests.filter(({ call }) => call === 'confirmTx').map(({ body }) => body)
    assert.equal(confirmed.length, 2)
    assert.equal(confirmed[0], confirmed[1])
    assertOnce(scene, 1)
  })

  test('a broadcast whose answer is lost is not paid for twice', async (t) => {
    for (const fault of [{ kind: 'reset mid-reply' }, { kind: 'text', text: '{' }] as Fault[]) {
      const scene = await stage(t)
      onCall(scene, 'broadcastTx', fault)
      const anchor = scene.start()
      await anchor.anchor(checkpoint()).catch(() => anchor.anchor(checkpoint()))
      assertOnce(scene, 1)
    }
  })

  test('a doubtful transaction is sent again before the next nonce is given away', async (t) => {
    const scene = await stage(t)
    scene.node.fault = ({ call }) => (call === 'broadcastTx' ? { kind: 'reset' } : undefined)
    const anchor = scene.start()
    await rejection(anchor.anchor(checkpoint(1)))
    scene.node.fault = () => undefined
    await anchor.anchor(checkpoint(2))
    await anchor.anchor(checkpoint(1))
    assert.equal(scene.store.rows.length, 2)
    assertOnce(scene, 1, 2)
  })

  test('Invalid block reference: confirmed again', async (t) => {
    const scene = await stage(t)
    scene.node.fault = ({ call }) => {
      if (call === 'broadcastTx' && scene.node.calls().filter((each) => each === call).length === 1) {
        scene.node.ledger.mine()
        scene.node.ledger.mine()
      }
      return undefined
    }
    await scene.start().anchor(checkpoint())
    assert.deepEqual(scene.node.calls().slice(3, 8), [
      'confirmTx',
      'broadcastTx',
      'confirmTx',
      'broadcastTx',
      FULL_FLOW[5]
    ])
    assertOnce(scene, 1)
  })

  test('a chain that runs away from every confirmation ends in an error, not in a loop', async (t) => {
    const scene = await stage(t)
    const stale = { result: 400, response: false, extra: 'Invalid block reference' }
    scene.node.fault = ({ call }) => (call === 'broadcastTx' ? { kind: 'reply', reply: stale } : undefined)
    assert.equal((await rejection(scene.start().anchor(checkpoint()))).code, 'STALE_REFERENCE')
  })

  test('Insufficient balance is told as such, to be tried in an hour', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.balance = 0n
    const error = await rejection(scene.start().anchor(checkpoint()))
    assert.deepEqual([error.code, error.retryAfterMs], ['INSUFFICIENT_BALANCE', 3_600_000])
    assert.equal(scene.store.rows.length, 0)
    scene.node.ledger.balance = 2_000_000_000n
    await scene.start().anchor(checkpoint())
    assertOnce(scene, 1)
  })

  test('valid false leaves nothing behind, and the nonce free', async (t) => {
    const scene = await stage(t)
    const invalid = { result: 200, response: { data: { valid: false, message: 'GCREdit mismatch' } } }
    onCall(scene, 'confirmTx', { kind: 'reply', reply: invalid })
    const error = await rejection(scene.start().anchor(checkpoint()))
    assert.equal(error.message, 'REFUSED: confirmTx: GCREdit mismatch')
    await scene.start().anchor(checkpoint())
    assert.equal(scene.node.ledger.included[0]?.transaction.content.nonce, 1)
  })

  test('a transaction dropped from the mempool is sent again as it was', async (t) => {
    const scene = await stage(t)
    let dropped = false
    scene.node.fault = ({ call }) => {
      if (call === 'getTransactionStatus' && !dropped) {
        scene.node.ledger.mempool = []
        dropped = true
      }
      return undefined
    }
    await scene.start().anchor(checkpoint())
    assert.equal(scene.store.rows.length, 1)
    assert.equal(scene.node.calls().filter((call) => call === 'broadcastTx').length, 2)
    assertOnce(scene, 1)
  })

  test('a failed transaction is replaced by the next call, not within one', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    scene.node.fault = ({ call }) => {
      if (call === 'getTransactionStatus') scene.node.ledger.fail()
      return undefined
    }
    assert.match((await rejection(scene.start().anchor(checkpoint()))).message, /REFUSED: the chain marked transaction/)
    scene.node.fault = () => undefined
    scene.node.ledger.mineEvery = 1
    await scene.start().anchor(checkpoint())
    assert.equal(scene.store.rows.length, 2)
    assert.equal(scene.node.ledger.included[0]?.transaction.content.nonce, 1)
    assertOnce(scene, 1)
  })

  test('new terms while a transaction waits: signed again with the same nonce', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    Object.assign(scene.node.ledger, { mempool: [], osDenomination: true, mineEvery: 1 })
    const { reference } = await scene.start().anchor(checkpoint())
    const [old, now] = scene.store.rows.map(({ submission }) => submission)
    assert.deepEqual([old?.nonce, now?.nonce, now?.hash], [1, 1, reference])
    assertOnce(scene, 1)
  })

  test('a refusal that a new signature would not change is passed on', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    scene.node.ledger.mempool = []
    const invalid = { result: 200, response: { data: { valid: false, message: 'we are closed' } } }
    onCall(scene, 'confirmTx', { kind: 'reply', reply: invalid })
    assert.match((await rejection(scene.start().anchor(checkpoint()))).message, /we are closed/)
    assert.equal(scene.store.rows.length, 1)
  })

  test('a nonce that went to somebody else: replaced after two blocks, and said in the log', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    Object.assign(scene.node.ledger, { mempool: [], foreign: 1 })
    const blocked = await rejection(scene.start().anchor(checkpoint()))
    assert.match(blocked.message, /UNSETTLED: the chain has not reached block/)
    assert.equal(scene.store.rows.length, 1, 'not before two blocks have passed')
    scene.node.ledger.mineEvery = 1
    await scene.start().anchor(checkpoint())
    assert.equal(scene.store.rows.length, 2)
    assert.equal(scene.lines.filter(({ level }) => level === 'warn').length, 1)
    assertOnce(scene, 1)
  })

  test('a node whose index lags behind its ledger does not make us pay again', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    scene.node.ledger.mine()
    scene.node.ledger.mineEvery = 1
    const unknown = { result: 200, response: { state: 'unknown' } }
    let blocks = 0
    scene.node.fault = ({ call }) => {
      if (call === 'getLastBlockNumber') blocks++
      return call === 'getTransactionStatus' && blocks < 2 ? { kind: 'reply', reply: unknown } : undefined
    }
    await scene.start().anchor(checkpoint())
    assert.equal(scene.store.rows.length, 1)
    assertOnce(scene, 1)
  })

  test('a transaction that the node denies first and then refuses to see twice is waited for', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    scene.node.ledger.mineEvery = 2
    onCall(scene, 'getTransactionStatus', { kind: 'reply', reply: { result: 200, response: { state: 'unknown' } } })
    await scene.start().anchor(checkpoint())
    assert.equal(scene.store.rows.length, 1)
    assertOnce(scene, 1)
  })

  test('the earlier of two transactions may be the one that was included', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    const [waiting] = scene.node.ledger.mempool
    Object.assign(scene.node.ledger, { mempool: [], osDenomination: true })
    await rejection(scene.start({ patience: { settleMs: 2_000 } }).anchor(checkpoint()))
    scene.node.ledger.mempool = [waiting!] // another validator had kept it
    scene.node.ledger.mine()
    const { reference } = await scene.start().anchor(checkpoint())
    assert.equal(reference, waiting!.hash)
    assertOnce(scene, 1)
  })

  test('a transaction of an earlier account is waited for, and replaced when nobody knows it', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    Object.assign(scene.node.ledger, { mempool: [], mineEvery: 1 })
    await scene.start({ privateKey: Buffer.alloc(32, 7) }).anchor(checkpoint())
    assert.notEqual(scene.store.rows[1]?.submission.address, address)
    assertOnce(scene, 1)
  })

  test('a changed transaction in the store is noticed', async (t) => {
    const scene = await stage(t)
    await scene.start().anchor(checkpoint())
    const row = scene.store.rows[0]!
    const transaction = row.submission.transaction.replace('"nonce":1', '"nonce":2')
    scene.store.rows[0] = { ...row, submission: { ...row.submission, transaction } }
    await assert.rejects(scene.start().anchor(checkpoint()), /was changed in the store/)
  })

  test('the fake node is not fooled: one wrong byte and it refuses', async (t) => {
    const { node, start, store } = await stage(t)
    node.ledger.mineEvery = 0
    await rejection(start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    const good = JSON.parse(store.rows[0]!.submission.transaction)
    const { wallet, ledger } = { wallet: { address, sign: () => `0x${'00'.repeat(64)}` }, ledger: node.ledger }
    ledger.mempool = []
    const terms = { fees: { networkFee: 1, rpcFee: 0 }, osDenomination: false }
    assert.equal(ledger.refusal(good), undefined)
    assert.match(
      ledger.refusal(signTransaction({ wallet, data: good.content.data[1], nonce: 1, timestamp: 1, terms }) as never)!,
      /signature not verified/
    )
    assert.match(ledger.refusal({ ...good, hash: '00'.repeat(32) })!, /wrong hash/)
    assert.equal(seed.length, 32)
  })
})
