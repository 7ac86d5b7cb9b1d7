import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import health, { type HealthOptions } from '../../plugins/health.ts'
import { VERSION } from '../../src/util/package-root.ts'

const SECRET = 'postgres://relay:correct-horse@db/relay'

async function serverWithHealth(t: TestContext, options: HealthOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(health, options)
  return app
}

const ready = (app: FastifyInstance) => app.inject('/health/ready')

test('a live process says so, with its version and uptime', async (t) => {
  const app = await serverWithHealth(t)
  const response = await app.inject('/health/live')
  assert.equal(response.statusCode, 200)
  assert.equal(response.headers['cache-control'], 'no-store')
  const { uptimeSeconds, ...rest } = response.json()
  assert.deepEqual(rest, { status: 'ok', version: VERSION })
  assert.ok(Number.isInteger(uptimeSeconds) && uptimeSeconds >= 0)
})

test('a server is ready when every part is fine, and tells where its listeners are', async (t) => {
  const app = await serverWithHealth(t)
  app.readiness.addCheck('database', async () => undefined)
  app.readiness.listening('signaling', 'ws://127.0.0.1:3007')
  const response = await ready(app)
  assert.equal(response.statusCode, 200)
  assert.equal(response.headers['cache-control'], 'no-store')
  assert.deepEqual(response.json(), {
    status: 'ok',
    parts: { database: 'ok' },
    doors: { signaling: 'ws://127.0.0.1:3007' },
    details: {}
  })
})

test('a failing part makes the server unavailable and is named with its reason', async (t) => {
  const app = await serverWithHealth(t)
  app.readiness.addCheck('database', async () => 'does not answer')
  app.readiness.addCheck('migrations', async () => undefined)
  const response = await ready(app)
  assert.equal(response.statusCode, 503)
  assert.deepEqual(response.json(), {
    status: 'unavailable',
    failing: [{ part: 'database', reason: 'does not answer' }],
    parts: { database: 'failing', migrations: 'ok' },
    doors: {},
    details: {}
  })
})

test('a check that hangs fails after its deadline, is told so, and does not hold up the others', async (t) => {
  const app = await serverWithHealth(t)
  let givenUp: AbortSignal | undefined
  app.readiness.addCheck('database', (signal) => {
    givenUp = signal
    return new Promise(() => {})
  })
  app.readiness.addCheck('listeners', async () => undefined)
  const startedAt = performance.now()
  const { statusCode, body } = await ready(app)
  assert.ok(performance.now() - startedAt < 1_000)
  assert.equal(statusCode, 503)
  assert.deepEqual(JSON.parse(body).failing, [{ part: 'database', reason: 'no answer within 800 ms' }])
  assert.equal(givenUp?.aborted, true)
})

test('a check that throws fails without telling strangers why', async (t) => {
  const app = await serverWithHealth(t)
  app.readiness.addCheck('database', async () => {
    throw new Error(`cannot connect to ${SECRET}`)
  })
  app.readiness.addCheck('listeners', () => {
    throw new Error(SECRET)
  })
  const response = await ready(app)
  assert.equal(response.statusCode, 503)
  assert.deepEqual(response.json().failing, [
    { part: 'database', reason: 'check failed' },
    { part: 'listeners', reason: 'check failed' }
  ])
  assert.doesNotMatch(response.body, /correct-horse/)
})

test('a check that fails after its deadline does no harm', async (t) => {
  const app = await serverWithHealth(t, { checkDeadlineMs: 5 })
  app.readiness.addCheck('database', async () => {
    await sleep(20)
    throw new Error('too late')
  })
  assert.equal((await ready(app)).json().failing[0].reason, 'no answer within 5 ms')
  await sleep(40)
})

test('a server is ready again by itself once the part is', async (t) => {
  const app = await serverWithHealth(t, { resultSharedMs: 0 })
  let reason: string | undefined = 'does not answer'
  app.readiness.addCheck('database', async () => reason)
  assert.equal((await ready(app)).statusCode, 503)
  reason = undefined
  await sleep(5)
  assert.equal((await ready(app)).statusCode, 200)
})

test('probes at one time, and shortly after, share one check of the parts', async (t) => {
  const app = await serverWithHealth(t, { resultSharedMs: 50 })
  let checks = 0
  app.readiness.addCheck('database', async () => {
    checks += 1
    return undefined
  })
  await Promise.all([ready(app), ready(app), ready(app)])
  await ready(app)
  assert.equal(checks, 1)
  await sleep(100)
  await ready(app)
  assert.equal(checks, 2)
})

test('a stopping server is alive and not ready, whatever its parts say', async (t) => {
  const app = await serverWithHealth(t)
  app.readiness.addCheck('database', async () => undefined)
  assert.equal((await ready(app)).statusCode, 200)
  app.readiness.stopping()
  const response = await ready(app)
  assert.equal(response.statusCode, 503)
  assert.deepEqual(response.json().failing, [{ part: 'server', reason: 'stopping' }])
  assert.equal((await app.inject('/health/live')).statusCode, 200)
})

test('closing the server makes it stop being ready before its other parts go', async (t) => {
  const app = await serverWithHealth(t)
  let whileClosing: unknown
  app.addHook('preClose', async () => {
    whileClosing = (await app.readiness.check()).failing
  })
  await app.close()
  assert.deepEqual(whileClosing, [{ part: 'server', reason: 'stopping' }])
})

test('a part is checked under one name only', async (t) => {
  const app = await serverWithHealth(t)
  app.readiness.addCheck('database', async () => undefined)
  assert.throws(() => app.readiness.addCheck('database', async () => undefined), /already checks "database"/)
})

test('details of a part are shown as they are now, ready or not, and do not decide readiness', async (t) => {
  const app = await serverWithHealth(t, { resultSharedMs: 0 })
  let reason: string | undefined
  app.readiness.addCheck('database', async () => reason)
  const faults = [{ place: 'net/config.json', reason: 'not JSON' }]
  app.readiness.addDetails('l2ps', () => ({ networks: 3, faults }))
  app.readiness.addDetails('audit', () => ({ lag: { seconds: 1.5 } }))
  const details = { l2ps: { networks: 3, faults }, audit: { lag: { seconds: 1.5 } } }
  const fine = await ready(app)
  assert.equal(fine.statusCode, 200)
  assert.deepEqual(fine.json().details, details)
  reason = 'does not answer'
  faults.pop()
  await sleep(5)
  const unavailable = await ready(app)
  assert.equal(unavailable.statusCode, 503)
  assert.deepEqual(unavailable.json().details, details)
  app.readiness.stopping()
  assert.deepEqual((await ready(app)).json().details, details)
})

test('details that cannot be had are left out, and strangers are not told why', async (t) => {
  const app = await serverWithHealth(t)
  app.readiness.addDetails('l2ps', () => {
    throw new Error(SECRET)
  })
  app.readiness.addDetails('audit', () => ({ lag: 1 }))
  const response = await ready(app)
  assert.equal(response.statusCode, 200)
  assert.deepEqual(response.json().details, { audit: { lag: 1 } })
  assert.doesNotMatch(response.body, /correct-horse/)
})

test('a part has details under one name only', async (t) => {
  const app = await serverWithHealth(t)
  app.readiness.addDetails('l2ps', () => ({}))
  assert.throws(() => app.readiness.addDetails('l2ps', () => ({})), /already has details of "l2ps"/)
})
