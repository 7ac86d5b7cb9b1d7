// One message for many sessions of one key is encoded once: they share its bytes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyOf, sendFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

test('a live message for all sessions of a key is one buffer, and arrives at each', async (t) => {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const key = await quickSigner()
  const alice = await server.enter('net')
  const devices = []
  for (let at = 0; at < 16; at++) devices.push(await server.enter('net', key))
  for (const device of devices) await device.nothingMore() // its backlog is read
  const frames: unknown[] = []
  for (const { session } of server.app.presence.sessions('net', keyOf(key))) {
    t.mock.method(session, 'push', function (this: typeof session, ...args: Parameters<typeof session.push>) {
      frames.push(args[0])
      this.whenQuiet(() => this.writer.writeEncoded(args[0] as Buffer))
    })
  }
  await alice.answerTo(alice.send(sendFrame(keyOf(key), 'x'.repeat(131_072), 'shared')))
  for (const device of devices) assert.equal((await device.next('message')).payload.messageHash, 'shared')
  assert.equal(frames.length, devices.length)
  assert.ok(frames[0] instanceof Buffer)
  assert.equal(new Set(frames).size, 1, 'each session has the same bytes')
})
