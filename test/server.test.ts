import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test } from 'node:test'
import { atEnd } from './helpers/at-end.ts'
import { createTestDatabase, startPostgres, temporaryDirectory } from './helpers/database.ts'
import { logLines } from './helpers/log-lines.ts'
import { startDuringMigration } from './helpers/migration.ts'
import { OWN_OPTIONS, ownFile } from './helpers/own-program.ts'
import { openPeer } from './helpers/peer.ts'
import { lineWith } from './helpers/processes.ts'
import { startTestServer } from './helpers/server.ts'
import { until } from './helpers/wait.ts'

test('a plain GET of the door says how to connect', async (t) => {
  const { addresses } = await startTestServer(t)
  for (const path of ['/', '/signaling']) {
    const response = await fetch(addresses.http + path)
    assert.equal(response.status, 426)
    assert.equal(response.headers.get('upgrade'), 'websocket')
    assert.match((await response.json()).message, /WebSocket/)
  }
})

test('both paths of the signaling door speak signaling, others are not found', async (t) => {
  const server = await startTestServer(t)
  for (const path of ['/', '/signaling']) {
    const peer = await openPeer(t, server.addresses.signaling + path)
    await peer.register(`at${path}`)
  }
  await assert.rejects(openPeer(t, `${server.addresses.signaling}/nowhere`), /404/)
})

test('a taken port moves the door to the next free one, and readiness names it', async (t) => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  atEnd(t, () => blocker.close())
  const { port } = blocker.address() as { port: number }
  const { addresses } = await startTestServer(t, { RPC_SIGNALING_PORT: port })
  const real = Number(new URL(addresses.http).port)
  assert.ok(real > port && real < port + 100)
  const ready = await (await fetch(`${addresses.http}/health/ready`)).json()
  assert.equal(ready.doors.signaling, `ws://127.0.0.1:${real}`)
})

test('a browser of an origin that is not listed cannot connect, a client without origin can', async (t) => {
  const server = await startTestServer(t, { ALLOWED_ORIGINS: ' https://App.example , http://localhost:8080'.trim() })
  for (const door of [server.addresses.signaling, server.addresses.l2ps!]) {
    for (const origin of [
      ...['https://evil.example', 'https://app.example.evil.example', 'https://sub.app.example', 'null'],
      ...['http://app.example', 'https://app.example:8443', 'http://localhost', 'http://localhost:80800']
    ]) {
      await assert.rejects(openPeer(t, door, { headers: { origin } }), /403/, origin)
    }
    for (const origin of ['https://app.example', 'http://localhost:8080'])
      await openPeer(t, door, { headers: { origin } })
    await openPeer(t, door)
  }
})

test('a start waits for the migration of another server', async (t) => {
  const { starting, isWaiting, release } = await startDuringMigration(t)
  await until('it waits for the lock', isWaiting)
  await release()
  const server = await starting
  assert.equal(server.app.initialConfig.pluginTimeout, 0) // none: it may wait as long as a migration takes
  await server.join('alice')
})

test('one address gets half of the connections: past that its sockets are refused with 429', async (t) => {
  const server = await startTestServer(t, { MAX_CONNECTIONS: 4 })
  await server.join('alice')
  const bob = await server.peer()
  await assert.rejects(server.peer(), /429/)
  const from = (localAddress: string) => openPeer(t, server.addresses.signaling, { localAddress })
  await from('127.0.0.2')
  await from('127.0.0.2')
  await assert.rejects(from('127.0.0.3'), /503/)
  await bob.close()
  await server.peer()
})

test('connections that say nothing are limited from their accept on, and closed', async (t) => {
  const server = await startTestServer(t, { MAX_CONNECTIONS: 4 })
  const { port } = new URL(server.addresses.l2ps!)
  const silent = Array.from({ length: 80 }, () => connect(Number(port), '127.0.0.1'))
  t.after(() => silent.forEach((socket) => void socket.destroy()))
  let cutOff = 0
  for (const socket of silent) {
    socket.on('error', () => {}).resume()
    socket.on('close', () => {
      cutOff += 1
    })
  }
  await until(
    () => `${cutOff} are cut off`,
    () => cutOff >= 14
  )
  await openPeer(t, server.addresses.signaling, { localAddress: '127.0.0.2' })
  await until('those that stay silent are closed, too', () => cutOff === 80)
})

test('on a stop every socket hears 1001, after the answers it was owed', async (t) => {
  const server = await startTestServer(t)
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  for (let n = 1; n <= 50; n++) alice.send({ type: 'message', payload: { targetId: 'absent', message: n } })
  await alice.next('message_queued') // the others are under way
  await server.close()
  assert.equal((await alice.closed).code, 1001)
  assert.equal((await bob.closed).code, 1001)
  const answered = 1 + alice.inbox.filter((frame) => frame.type === 'message_queued').length
  const again = await startTestServer(t, { DATABASE_URL: server.databaseUrl })
  const [row] = await again.app.database.sql`select count(*)::int as stored from queue_entry`
  assert.equal(row?.stored, answered)
})

test('while Postgres is away senders are told at once, and readiness names it; both recover by themselves', async (t) => {
  const postgres = await startPostgres(t)
  const server = await startTestServer(t, { DATABASE_URL: postgres.url('demos_relay'), DATABASE_DEADLINE_MS: 1_000 })
  const [alice, bob] = [await server.join('alice'), await server.join('bob')]
  const send = async (n: number) => {
    alice.send({ type: 'message', payload: { targetId: 'bob', message: n } })
  }
  const readiness = async () => {
    const response = await fetch(`${server.addresses.http}/health/ready`)
    const { failing } = await response.json()
    return { status: response.status, part: failing?.[0]?.part }
  }
  const becomes = async (status: number, ms: number) => {
    const isSo = async () => {
      const found = await readiness()
      return found.status === status && found
    }
    return until(`the status is ${status}`, isSo, ms)
  }
  await send(1)
  assert.equal((await bob.next('message')).payload.message, 1)
  await postgres.kill()
  assert.deepEqual(await becomes(503, 2_000), { status: 503, part: 'database' })
  await send(2)
  assert.match((await alice.next()).payload.details, /^Failed to store message/)
  await postgres.start()
  await becomes(200, 5_000)
  postgres.freeze()
  assert.deepEqual(await becomes(503, 2_000), { status: 503, part: 'database' })
  await send(3)
  assert.match((await alice.next()).payload.details, /^Failed to store message/)
  postgres.thaw()
  await becomes(200, 5_000)
  await send(4)
  let heard = await bob.next('message')
  while (heard.payload.message !== 4) heard = await bob.next('message') // 3 may have been stored after its time
})

test('the program starts, says so in one JSON line, and on SIGTERM is gone with its database', async (t) => {
  const dataDir = await temporaryDirectory(t)
  const child = spawn(process.execPath, [...OWN_OPTIONS, ownFile('src/main.ts')], {
    env: { ...process.env, DATA_DIR: dataDir, RPC_SIGNALING_PORT: '0', DATABASE_URL: '' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  atEnd(t, () => child.kill('SIGKILL'))
  const facts = await lineWith(child, 'server ready')
  const peer = await openPeer(t, facts.signaling as string)
  await peer.register('alice')
  const stoppedAt = Date.now()
  child.kill('SIGTERM')
  assert.equal((await peer.closed).code, 1001)
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
  assert.ok(Date.now() - stoppedAt < 10_000)
  await assert.rejects(fetch(facts.health as string))
})

test('a server outlives whoever read its log', async (t) => {
  const { url } = await createTestDatabase(t)
  const child = spawn(process.execPath, [...OWN_OPTIONS, ownFile('src/main.ts')], {
    env: {
      ...process.env,
      ...{ DATA_DIR: await temporaryDirectory(t), DATABASE_URL: url, LOG_LEVEL: 'debug' },
      ...{ RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0' }
    },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  atEnd(t, () => child.kill('SIGKILL'))
  const facts = await lineWith(child, 'server ready')
  child.stdout!.destroy()
  for (let line = 0; line < 50; line++) assert.equal((await fetch(facts.health as string)).status, 200) // each is a line
  const peer = await openPeer(t, facts.signaling as string)
  await peer.register('alice')
  child.kill('SIGTERM')
  assert.equal((await peer.closed).code, 1001)
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test('a public route that fails says nothing of the cause, which is one line of the log', async (t) => {
  const log = logLines()
  const { app } = await startTestServer(t, {}, { logger: log.logger })
  app.metrics.onRead(() => {
    throw new Error('the inside of the server')
  })
  const answer = await app.inject('/metrics?token=hunter2')
  assert.equal(answer.statusCode, 500)
  assert.doesNotMatch(answer.body, /inside|\bat /)
  assert.match(answer.json().message, /its operator finds the cause in the log/i)
  const failed = log.lines.filter(({ level }) => level === 'error')
  assert.deepEqual(
    failed.map(({ msg, method, route }) => [msg, method, route]),
    [['request failed', 'GET', '/metrics']]
  )
  assert.match(JSON.stringify(failed), /the inside of the server/)
  assert.doesNotMatch(JSON.stringify(log.lines), /hunter2/)
})
