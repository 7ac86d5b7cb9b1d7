// Requests of HTTP have a price (docs/limits.md).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sharedReading } from '../../src/limits/shared-reading.ts'
import { startTestServer } from '../helpers/server.ts'

test('a flood of requests is refused with a time to wait, and neither probes nor Prometheus notice', async (t) => {
  const server = await startTestServer(t, { WORK_PER_ADDRESS: 2_000 }) // 4 ms of work at once, then 2 ms a second
  const ask = async (path: string) => {
    const response = await fetch(`${server.addresses.http}${path}`)
    await response.arrayBuffer()
    return response
  }
  for (const path of ['/docs/openapi.json', '/nowhere', '/']) {
    let response = await ask(path)
    for (let n = 0; n < 200 && response.status !== 429; n++) response = await ask(path)
    assert.equal(response.status, 429, path)
    assert.match(response.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  }
  for (const path of ['/metrics', '/health/live', '/health/ready']) assert.equal((await ask(path)).status, 200, path)
  const alice = await server.join('alice')
  await alice.nothingMore()
})

test('a flood of scrapes is refused, and whoever scrapes every second is not', async (t) => {
  const server = await startTestServer(t, { WORK_PER_ADDRESS: 2_000 })
  const flooder = () => server.app.inject({ url: '/metrics', remoteAddress: '192.0.2.1' })
  let response = await flooder()
  for (let n = 0; n < 200 && response.statusCode !== 429; n++) response = await flooder()
  assert.equal(response.statusCode, 429)
  assert.equal((await server.app.inject({ url: '/metrics', remoteAddress: '192.0.2.2' })).statusCode, 200)
})

test('readings of the metrics: new for who asks now and then, shared in a flood and while one is under way', async () => {
  let [time, readings] = [0, 0]
  const read = sharedReading(
    async () => String(++readings),
    () => time
  )
  for (let second = 1; second <= 60; second++) {
    time += 1_000
    for (let n = 0; n < 20; n++) await read()
    assert.equal(readings, 20 * second)
  }
  const before = readings
  assert.deepEqual(await Promise.all([read(), read(), read()]), Array(3).fill(String(before + 1)))
  for (let n = 0; n < 300; n++) await read()
  assert.ok(readings - before <= 100, `${readings - before} at once`)
  time += 1_000
  assert.equal(await read(), String(readings))
  assert.ok(readings - before > 1)
})
