import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openDatabase } from '../../src/database/database.ts'
import { atEnd } from '../helpers/at-end.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { startDebianPostgres } from '../helpers/debian-postgres.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer } from '../helpers/server.ts'
import { inWords, sendSteadily } from '../helpers/steady-sender.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { until } from '../helpers/wait.ts'

const options = needs('pg_lsclusters')

const open = async (t: TestContext, url: string) => {
  const opening = openDatabase({ url, dataDir: '/nonexistent', poolSize: 2, deadlineMs: 5_000 }, silentLog)
  atEnd(t, async () => (await opening.catch(() => undefined))?.close())
  return opening
}

test("a relay works on Debian's PostgreSQL", options, async (t) => {
  const debian = await startDebianPostgres(t)
  const server = await startTestServer(t, { DATABASE_URL: await debian.createDatabase('relay') })
  const { stats, stop } = await sendSteadily(server)
  await until('some are queued', () => stats.queued > 20)
  assert.equal((await stop()).refused, 0)
  const ready = (await server.app.inject('/health/ready')).json()
  assert.equal(ready.status, 'ok')
  assert.ok(ready.details.database.postgres >= 15)
})

test(
  'TLS as the connection string wants it: checked against an authority, and bound to the channel',
  needs('pg_lsclusters', 'openssl'),
  async (t) => {
    const [certificate, other] = [await makeCertificate(t), await makeCertificate(t)]
    const debian = await startDebianPostgres(t, { tls: certificate })
    const url = debian.url('postgres')
    for (const query of [
      '',
      '?sslmode=prefer',
      '?sslmode=allow',
      '?sslmode=require&channel_binding=disable',
      `?sslmode=verify-ca&sslrootcert=${certificate.certFile}`,
      `?sslmode=verify-full&sslrootcert=${certificate.certFile}&channel_binding=require`
    ]) {
      const database = await open(t, url + query)
      const [row] = await database.sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`
      assert.equal(row!.ssl, true, query)
    }
    await assert.rejects(
      open(t, `${url}?sslmode=disable`),
      /no pg_hba\.conf entry for host .*: see its pg_hba\.conf and the role/
    )
    await assert.rejects(
      open(t, `${url.replace('127.0.0.1', 'localhost')}?sslmode=verify-full&sslrootcert=${certificate.certFile}`),
      /its certificate is not trusted/
    )
    await assert.rejects(
      open(t, `${url}?sslmode=verify-ca&sslrootcert=${other.certFile}`),
      /its certificate is not trusted/
    )
  }
)

test('when the primary dies and the standby takes over, the relay goes on there by itself', options, async (t) => {
  const primary = await startDebianPostgres(t)
  const url = await primary.createDatabase('relay')
  const standby = await primary.standby()
  const server = await startTestServer(t, {
    DATABASE_URL: url.replace(/@[^/]*/, `@127.0.0.1:${standby.port},127.0.0.1:${primary.port}`),
    DATABASE_DEADLINE_MS: 2_000
  })
  const { stats, stop } = await sendSteadily(server)
  await until('some are queued', () => stats.queued > 20)
  primary.kill()
  const part = async () => (await server.app.inject('/health/ready')).json().failing?.[0]
  await until('readiness names the standby', async () => (await part())?.reason === 'the server is a standby', 10_000)
  await standby.promote()
  const before = stats.queued
  await until('it goes on', () => stats.queued > before + 20, 20_000)
  await until('it is ready', async () => (await server.app.inject('/health/ready')).statusCode === 200, 10_000)
  t.diagnostic(`failover: ${inWords(await stop())}`)
})
