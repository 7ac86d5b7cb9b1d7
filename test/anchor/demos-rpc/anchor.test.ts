import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Fault, SeenRequest } from './fake-node.ts'
import { assertOnce, checkpoint, onCall, rejection, stage } from './setup.ts'

const FULL_FLOW = [
  'getNetworkParameters',
  'getNetworkInfo',
  'getAddressNonce',
  'confirmTx',
  'broadcastTx',
  'getTransactionStatus'
]

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
})
