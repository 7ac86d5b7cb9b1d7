import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { signTransaction } from '../../../src/anchor/demos-rpc/transaction.ts'
import { address, assertOnce, checkpoint, onCall, rejection, stage } from './setup.ts'

describe('demos-rpc anchor: refusals and replacements', () => {
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
      'getTransactionStatus'
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

  test('a node that takes a while to know what it accepted is given that while', async (t) => {
    const scene = await stage(t)
    const unknown = { result: 200, response: { state: 'unknown' } }
    let looks = 0
    scene.node.fault = ({ call }) =>
      call === 'getTransactionStatus' && ++looks < 10 ? { kind: 'reply', reply: unknown } : undefined
    await scene.start().anchor(checkpoint())
    assert.equal(scene.node.calls().filter((call) => call === 'confirmTx').length, 1)
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

  test('a transaction that failed while nobody knew what became of it is not sent again', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    onCall(scene, 'broadcastTx', { kind: 'crash after accepting' })
    const anchor = scene.start()
    await rejection(anchor.anchor(checkpoint()))
    scene.node.restart()
    scene.node.ledger.fail()
    scene.node.ledger.mineEvery = 2
    await anchor.anchor(checkpoint())
    scene.node.ledger.mine()
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

  test('a nonce that went to somebody else means nothing on a chain that does not enforce nonces', async (t) => {
    const scene = await stage(t)
    Object.assign(scene.node.ledger, { mineEvery: 0, enforcesNonces: false })
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    const [waiting] = scene.node.ledger.mempool
    Object.assign(scene.node.ledger, { mempool: [], foreign: 1, mineEvery: 1 })
    const invalid = { result: 200, response: { data: { valid: false, message: 'not today' } } }
    onCall(scene, 'confirmTx', { kind: 'reply', reply: invalid })
    assert.match((await rejection(scene.start().anchor(checkpoint()))).message, /not today/)
    scene.node.ledger.mempool = [waiting!] // another validator had kept it
    const { reference } = await scene.start().anchor(checkpoint())
    assert.equal(reference, waiting!.hash)
    assertOnce(scene, 1)
  })

  test('new terms, and the nonce went to somebody else: replaced with the next one', async (t) => {
    const scene = await stage(t)
    scene.node.ledger.mineEvery = 0
    await rejection(scene.start({ patience: { settleMs: 0 } }).anchor(checkpoint()))
    Object.assign(scene.node.ledger, { mempool: [], foreign: 1, osDenomination: true, mineEvery: 1 })
    await scene.start().anchor(checkpoint())
    assert.deepEqual(
      scene.store.rows.map(({ submission }) => submission.nonce),
      [1, 2]
    )
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
  })
})
