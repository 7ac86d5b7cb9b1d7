import assert from 'node:assert/strict'
import { test } from 'node:test'
import { historyFrame, sendFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { until } from '../helpers/wait.ts'
import { BUSES, onBus, startCluster, type TestCluster } from './relays.ts'

async function addNetwork({ relays }: TestCluster, uid: string): Promise<void> {
  await relays[0]!.addNetworks(uid)
  for (const relay of relays) await relay.app.networks.refresh()
}

for (const bus of BUSES) {
  test(`two-way talk over two relays is not refused, and history has all of it (${bus})`, onBus(bus), async (t) => {
    const cluster = await startCluster(t, 2, bus)
    const { relays } = cluster
    await addNetwork(cluster, 'net')
    const alice = await relays[0]!.enter('net')
    const bob = await relays[1]!.enter('net')
    const requests: string[] = []
    for (let n = 0; n < 200; n++) {
      requests.push(alice.send(sendFrame(bob.key, 'AAAA', `a ${n}`)))
      bob.send(sendFrame(alice.key, 'AAAA', `b ${n}`))
    }
    for (const request of requests) assert.equal((await alice.answerTo(request)).type, 'message_sent')
    for (let n = 0; n < 200; n++) assert.equal((await bob.next('message')).payload.messageHash, `a ${n}`)
    for (let n = 0; n < 200; n++) assert.equal((await alice.next('message')).payload.messageHash, `b ${n}`)
    const seen = new Set<string>()
    for (let before: number | undefined; ; ) {
      const frame = await historyFrame(alice.signer, bob.key, {
        limit: 30,
        ...(before === undefined ? {} : { before })
      })
      const { payload } = await alice.answerTo(alice.send(frame))
      for (const message of payload.messages) {
        assert.ok(!seen.has(message.messageHash), `${message.messageHash} comes once`)
        seen.add(message.messageHash)
      }
      if (!payload.hasMore) break
      before = payload.messages.at(-1).timestamp
    }
    assert.equal(seen.size, 400)
  })

  test(`two devices of one key on two relays hear everything (${bus})`, onBus(bus), async (t) => {
    const cluster = await startCluster(t, 2, bus)
    const { relays } = cluster
    await addNetwork(cluster, 'net')
    const signer = await quickSigner()
    const alice = await relays[0]!.enter('net')
    const phone = await relays[0]!.enter('net', signer)
    const desk = await relays[1]!.enter('net', signer)
    for (let n = 0; n < 50; n++) alice.send(sendFrame(phone.key, 'AAAA', `h${n}`))
    for (const device of [phone, desk]) {
      for (let n = 0; n < 50; n++) assert.equal((await device.next('message')).payload.messageHash, `h${n}`)
    }
    await relays[0]!.emptied()
    await until('no relay waits for a receipt', () => relays.every(({ app }) => app.cluster!.shared.waiting === 0))
  })

  test(`a slow device on another relay loses nothing to a fast one (${bus})`, onBus(bus), async (t) => {
    const cluster = await startCluster(t, 2, bus)
    const { relays } = cluster
    await addNetwork(cluster, 'net')
    const signer = await quickSigner()
    const alice = await relays[0]!.enter('net')
    const phone = await relays[0]!.enter('net', signer)
    const desk = await relays[1]!.enter('net', signer)
    desk.ws.pause()
    for (let n = 0; n < 20; n++) alice.send(sendFrame(phone.key, 'AAAA', `h${n}`))
    for (let n = 0; n < 20; n++) await phone.next('message')
    await until('the receipts of the phone are noted', () => relays[0]!.app.cluster!.shared.waiting === 20)
    desk.terminate()
    const back = await relays[1]!.enter('net', signer)
    for (let n = 0; n < 20; n++) assert.equal((await back.next('message')).payload.messageHash, `h${n}`)
    await relays[0]!.emptied()
    await phone.nothingMore()
  })

  test(
    `joined and left are told in the whole cluster, for the first and the last session (${bus})`,
    onBus(bus),
    async (t) => {
      const cluster = await startCluster(t, 2, bus)
      const { relays } = cluster
      await addNetwork(cluster, 'net')
      const signer = await quickSigner()
      const alice = await relays[0]!.enter('net')
      const phone = await relays[1]!.enter('net', signer)
      assert.equal((await alice.next('peer_joined')).payload.publicKey, phone.key)
      const desk = await relays[0]!.enter('net', signer)
      await phone.close()
      await alice.nothingMore()
      await desk.close()
      assert.equal((await alice.next('peer_left')).payload.publicKey, phone.key)
      await alice.nothingMore()
    }
  )

  test(`discover and the list at registration show the peers of all relays (${bus})`, onBus(bus), async (t) => {
    const cluster = await startCluster(t, 2, bus)
    const { relays } = cluster
    await addNetwork(cluster, 'net')
    const alice = await relays[0]!.enter('net')
    const bob = await relays[1]!.l2psPeer()
    const registered = await bob.register('net')
    assert.deepEqual(registered.payload.onlinePeers, [alice.key])
    assert.equal((await alice.next('peer_joined')).payload.publicKey, bob.key)
    const { payload } = await alice.answerTo(alice.send('discover', {}))
    assert.deepEqual(payload.peers, [alice.key, bob.key].sort())
    const asked = await bob.answerTo(bob.send('request_public_key', { targetId: alice.key }))
    assert.equal(asked.payload.publicKey, alice.key)
  })

  test(`a key has no more sessions in the cluster than in one relay (${bus})`, onBus(bus), async (t) => {
    const cluster = await startCluster(t, 2, bus, { MAX_SESSIONS_PER_KEY: 2 })
    const { relays } = cluster
    await addNetwork(cluster, 'net')
    const signer = await quickSigner()
    await relays[0]!.enter('net', signer)
    const second = await relays[1]!.enter('net', signer)
    await assert.rejects(relays[0]!.enter('net', signer), /RATE_LIMITED/)
    await second.close()
    await until('there is room again', async () => {
      const peer = await relays[1]!.enter('net', signer).catch(() => undefined)
      return peer !== undefined
    })
  })
}
