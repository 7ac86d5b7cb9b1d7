import assert from 'node:assert/strict'
import { test } from 'node:test'
import { quickIdentity, registerFrame, roundTrip } from '../helpers/peer.ts'
import { until } from '../helpers/wait.ts'
import { BUSES, onBus, startCluster } from './relays.ts'

const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

for (const bus of BUSES) {
  test(`messages cross from relay to relay, in order and once (${bus})`, onBus(bus), async (t) => {
    const { relays } = await startCluster(t, 2, bus)
    const alice = await relays[0]!.join('alice')
    const bob = await relays[1]!.join('bob')
    for (let n = 0; n < 300; n++) alice.send(send('bob', `m${n}`))
    for (let n = 0; n < 100; n++) bob.send(send('alice', `m${n}`))
    for (let n = 0; n < 300; n++)
      assert.deepEqual((await bob.next('message')).payload, { message: `m${n}`, fromId: 'alice' })
    for (let n = 0; n < 100; n++)
      assert.deepEqual((await alice.next('message')).payload, { message: `m${n}`, fromId: 'bob' })
    await relays[0]!.emptied()
    await alice.nothingMore()
    await bob.nothingMore()
    const misses = relays.map(({ app }) => app.cluster!.missed.misses)
    assert.deepEqual(misses, [1, 1], 'nothing was missed after the bus was there')
  })

  test(
    `a message for a peer that is away waits for it, whichever relay it comes to (${bus})`,
    onBus(bus),
    async (t) => {
      const { relays } = await startCluster(t, 3, bus)
      const alice = await relays[0]!.join('alice')
      for (let n = 0; n < 20; n++) alice.send(send('bob', `m${n}`))
      for (let n = 0; n < 20; n++) await alice.next('message_queued')
      const bob = await relays[1]!.join('bob')
      for (let n = 0; n < 20; n++) assert.equal((await bob.next('message')).payload.message, `m${n}`)
      await relays[2]!.emptied()
      await bob.close()
      await until('bob is away', async () => {
        alice.send(send('bob', 'again'))
        const heard = await alice.next('message_queued', 200).catch(() => undefined)
        return heard !== undefined
      })
      const back = await relays[2]!.join('bob', await quickIdentity()).catch((error: Error) => error)
      assert.match(String(back), /CLIENT_ID_TAKEN/, 'a stranger does not get the name')
    }
  )

  test(`a client id has one live socket in the cluster (${bus})`, onBus(bus), async (t) => {
    const { relays } = await startCluster(t, 2, bus)
    const identity = await quickIdentity()
    const alice = await relays[0]!.join('alice', identity)
    const second = await relays[1]!.peer()
    await assert.rejects(second.register('alice', identity), /CLIENT_ID_TAKEN/)
    await alice.close()
    await second.register('alice', identity)
    await second.nothingMore()
  })

  test(`of sockets that claim a name at once on two relays exactly one gets it (${bus})`, onBus(bus), async (t) => {
    const { relays } = await startCluster(t, 2, bus)
    for (let round = 0; round < 20; round++) {
      const identity = await quickIdentity()
      const claims = await Promise.allSettled(relays.map((relay) => relay.join(`name ${round}`, identity)))
      assert.equal(claims.filter(({ status }) => status === 'fulfilled').length, 1, `round ${round}`)
    }
  })

  test(`a key that changes on one relay is handed out by the other at once (${bus})`, onBus(bus), async (t) => {
    const { relays } = await startCluster(t, 2, bus)
    const identity = await quickIdentity()
    const alice = await relays[0]!.join('alice')
    const bob = await relays[1]!.join('bob', identity)
    const ask = async () => {
      alice.send({ type: 'request_public_key', payload: { targetId: 'bob' } })
      return (await alice.next('public_key_response')).payload.publicKey as number[]
    }
    const first = await ask()
    await bob.close()
    const other = { ...identity, publicKey: crypto.getRandomValues(new Uint8Array(40)) }
    await relays[1]!.join('bob', other)
    await until('the new key is handed out', async () => (await ask()).length === 40)
    assert.notDeepEqual(await ask(), first)
  })

  test(`those who registered before hear that a peer of another relay left (${bus})`, onBus(bus), async (t) => {
    const { relays } = await startCluster(t, 2, bus)
    const alice = await relays[0]!.join('alice')
    const bob = await relays[1]!.join('bob')
    await bob.close()
    assert.deepEqual((await alice.next('peer_disconnected')).payload, { peerId: 'bob' })
  })

  test(`discover shows the peers of all relays (${bus})`, onBus(bus), async (t) => {
    const { relays } = await startCluster(t, 2, bus, { DISCOVER_PEERS: 2 })
    const alice = await relays[0]!.join('alice')
    await relays[1]!.join('bob')
    await relays[1]!.join('carol')
    alice.send({ type: 'discover', payload: {} })
    assert.deepEqual((await alice.next('discover')).payload, { peers: ['alice', 'bob'], hasMore: true })
    alice.send({ type: 'discover', payload: { after: 'bob' } })
    assert.deepEqual((await alice.next('discover')).payload, { peers: ['carol'] })
    alice.send({ type: 'discover', payload: { prefix: 'b' } })
    assert.deepEqual((await alice.next('discover')).payload, { peers: ['bob'] })
  })
}

test('strangers at one relay fill half of the mailbox of a peer at another', async (t) => {
  const { relays } = await startCluster(t, 2, 'postgres', { RECIPIENT_QUEUE_MESSAGES: 20 })
  const bob = await relays[1]!.peer()
  bob.send(await registerFrame('bob', await quickIdentity(), { features: ['ack'] }))
  assert.equal((await bob.next()).type, 'register')
  const [mallory, alice] = [await relays[0]!.join('mallory'), await relays[0]!.join('alice')]
  const { sql } = relays[0]!.app.database
  await sql`insert into contact (network, sender, recipient) values ('signaling', 'bob', 'alice')`
  for (let n = 0; n < 20; n++) mallory.send(send('bob', { from: 'mallory', n }))
  const refused = (await roundTrip(mallory)).filter(({ type }) => type === 'error')
  assert.equal(refused.length, 10)
  for (let n = 0; n < 12; n++) alice.send(send('bob', { from: 'alice', n }))
  assert.equal((await roundTrip(alice)).filter(({ type }) => type === 'error').length, 2)
  for (const from of ['mallory', 'alice']) {
    for (let n = 0; n < 10; n++) assert.deepEqual((await bob.next('message')).payload.message, { from, n })
  }
})

test('one friend at one relay fills three quarters of the mailbox of a peer at another', async (t) => {
  const { relays } = await startCluster(t, 2, 'postgres', { RECIPIENT_QUEUE_MESSAGES: 20, MAX_FRAMES_IN_FLIGHT: 1 })
  const bob = await relays[1]!.peer()
  bob.send(await registerFrame('bob', await quickIdentity(), { features: ['ack'] }))
  assert.equal((await bob.next()).type, 'register')
  const { sql } = relays[0]!.app.database
  await sql`
    insert into contact (network, sender, recipient) values ('signaling', 'bob', 'alice'), ('signaling', 'bob', 'carol')`
  const [alice, carol] = [await relays[0]!.join('alice'), await relays[0]!.join('carol')]
  const refusedOf = async (peer: typeof alice) => {
    for (let n = 0; n < 20; n++) peer.send(send('bob', n))
    return (await roundTrip(peer)).filter(({ type }) => type === 'error').length
  }
  assert.deepEqual([await refusedOf(alice), await refusedOf(carol)], [5, 15])
})
