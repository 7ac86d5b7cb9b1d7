// One message for many sessions of one key is encoded once: they share its bytes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverProcess } from '../chaos/server-process.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { keyOf, openL2psPeer, registerFrame, sendFrame } from '../helpers/l2ps-peer.ts'
import { quickSigner } from '../helpers/peer.ts'
import { startTestServer } from '../helpers/server.ts'

const SESSIONS = 400
/** One copy for each of them would be 52 MB. */
const BODY = 'x'.repeat(131_072)
const MOST_GROWTH_BYTES = 20_000_000

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

test('a message for 400 sessions that do not read costs far less memory than a copy for each', {
  skip: process.platform === 'linux' ? false : 'reads /proc'
}, async (t) => {
  const { url, sql } = await createTestDatabase(t)
  await sql`insert into l2ps_network (uid) values ('net')`
  const home = await temporaryDirectory(t)
  const env = {
    ...{ DATABASE_URL: url, DATA_DIR: home, RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0' },
    MAX_SESSIONS_PER_KEY: String(SESSIONS)
  }
  const server = serverProcess(t, { env, cwd: home, steppedClock: false })
  await server.start()
  const open = () => openL2psPeer(t, `${server.url}/l2ps`)
  const signer = await quickSigner()
  const now = Date.now()
  const devices = []
  for (let n = 0; n < SESSIONS; n += 1) {
    const device = await open()
    const requestId = device.send(await registerFrame(signer, 'net', { timestamp: now - n }))
    assert.equal((await device.answerTo(requestId)).type, 'registered')
    devices.push(device)
  }
  const alice = await open()
  await alice.register('net')
  await alice.answerTo(alice.send(sendFrame(keyOf(signer), 'a short one')))
  for (const device of devices) await device.next('message')
  for (const device of devices) device.ws.pause()
  const before = await server.memory()
  assert.equal((await alice.answerTo(alice.send(sendFrame(keyOf(signer), BODY)))).type, 'message_sent')
  const growth = (await server.memory()) - before
  assert.ok(growth < MOST_GROWTH_BYTES, `${growth} bytes more`)
  for (const device of devices) device.ws.resume()
  for (const device of devices) assert.equal((await device.next('message')).payload.encrypted.ciphertext, BODY)
  await alice.nothingMore()
  assert.deepEqual(server.problems, [])
})
