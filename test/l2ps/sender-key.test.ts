import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSigner } from '../../client/src/identity.ts'
import { keyOf, sendFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

// An ML-DSA key is too long for an address: the server has to look it up when its owner is not there.
test('a message comes from the key as its sender registered it, though the sender has left at once', async (t) => {
  const first = await startTestServer(t)
  await first.addNetworks('net')
  const sender = await createSigner('ml-dsa', crypto.getRandomValues(new Uint8Array(32)))
  const [later, muchLater] = [await quickSigner(), await quickSigner()]
  const here = await first.enter('net')
  for (const to of [here.key, keyOf(later), keyOf(muchLater)]) {
    const alice = await first.enter('net', sender)
    alice.send(sendFrame(to))
    await alice.close()
  }
  const live = await here.next('message')
  assert.deepEqual([live.payload.from, live.payload.offline], [keyOf(sender), false])
  const back = await first.enter('net', later)
  assert.equal((await back.next('message')).payload.from, keyOf(sender))
  await first.close()
  const second = await startTestServer(t, { DATABASE_URL: first.databaseUrl })
  const restarted = await second.enter('net', muchLater)
  assert.equal((await restarted.next('message')).payload.from, keyOf(sender))
})
