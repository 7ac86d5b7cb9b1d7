// A request that its caller gives up rejects at once, and is not sent later.
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { createSignalingClient } from '../../client/src/signaling.ts'
import { until } from '../helpers/wait.ts'
import { startFakeL2psServer } from './fake-l2ps-server.ts'
import { listen, startFakeServer } from './fake-server.ts'
import { body, clientFor, join } from './l2ps-clients.ts'
import { next } from './waits.ts'

const quick = { firstDelayMs: 5, maximumDelayMs: 20, jitter: 0 }

test('L2PS: a send that is given up while offline is never sent', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url, reconnect: { firstDelayMs: 50, jitter: 0 } })
  const lost = next(alice.events, 'disconnected')
  server.cut()
  await lost
  const giveUp = new AbortController()
  const given = alice.send('bob', body('given up'), { signal: giveUp.signal })
  const kept = alice.send('bob', body('kept'))
  giveUp.abort(new Error('changed my mind'))
  await assert.rejects(given, /changed my mind/)
  await kept
  assert.deepEqual(
    server.messages.map(({ encrypted }) => atob(encrypted.ciphertext)),
    ['kept']
  )
})

test('L2PS: requests that are given up reject with the reason and leave no listener', async (t) => {
  const server = await startFakeL2psServer(t)
  const alice = await join(t, { url: server.url })
  const answered = new AbortController()
  await alice.discover({ signal: answered.signal })
  assert.equal(getEventListeners(answered.signal, 'abort').length, 0)
  server.intercept = () => true // never answers
  const { signal } = answered
  const asked = [
    alice.discover({ signal }),
    alice.history('bob', { signal }),
    alice.historyOf('bob', { signal }).next(),
    alice.requestPublicKey('bob', { signal }),
    alice.send('bob', body(), { signal })
  ]
  answered.abort()
  for (const each of await Promise.allSettled(asked)) {
    assert.equal(each.status === 'rejected' && each.reason.name, 'AbortError')
  }
  await assert.rejects(alice.discover({ signal }), { name: 'AbortError' })
})

test('signaling: a message that is given up while it waits for a connection is not sent; others of its key are', async (t) => {
  const server = await startFakeServer(t)
  const identity = await createIdentity({ algorithm: 'ed25519' })
  const alice = createSignalingClient({ url: server.url, clientId: 'alice', identity, reconnect: quick })
  t.after(() => alice.close())
  await alice.connect()
  server.keys.set('bob', [...identity.publicKey])
  const giveUp = new AbortController()
  let release: (() => void) | undefined
  server.intercept = (frame, socket, self) => {
    if (frame.type !== 'request_public_key') return false
    release = () => {
      self.intercept = undefined
      socket.emit('message', Buffer.from(JSON.stringify(frame)))
    }
    return true
  }
  const given = alice.send('bob', 'given up', { signal: giveUp.signal })
  const confirmed = alice.sendConfirmed('bob', 'given up', { signal: giveUp.signal })
  const kept = alice.sendConfirmed('bob', 'kept')
  giveUp.abort()
  await assert.rejects(given, { name: 'AbortError' })
  await assert.rejects(confirmed, { name: 'AbortError' })
  const answer = await until('the key is asked for', () => release)
  answer()
  assert.equal((await kept).status, 'queued')
  assert.equal(server.received.filter(({ type }) => type === 'message').length, 1)
})

test('connect() that is given up leaves no socket, and the client may connect again', async (t) => {
  const silent = await listen(t, 0, { frame: () => {}, close: () => {} }) // never answers register
  const alice = await clientFor(t, { url: silent.url })
  const giveUp = new AbortController()
  const connecting = alice.connect({ signal: giveUp.signal })
  giveUp.abort()
  await assert.rejects(connecting, { name: 'AbortError' })
  assert.equal(alice.state, 'closed')
  const again = alice.connect()
  await alice.close()
  await assert.rejects(again, { errorType: 'CLOSED' })
})
