import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDebianPostgres } from '../helpers/debian-postgres.ts'
import { needs } from '../helpers/programs.ts'
import { until } from '../helpers/wait.ts'
import { startCluster } from './relays.ts'

const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

test(
  'a failover to a standby loses nothing: relays enter their peers again, and messages cross as before',
  needs('pg_lsclusters'),
  async (t) => {
    const primary = await startDebianPostgres(t)
    const first = new URL(await primary.createDatabase('relay'))
    // Commits wait for the standby, as where no message may be lost with the primary.
    const standby = await primary.standby()
    await primary.waitForStandby()
    const url = `${first.protocol}//${first.username}:${first.password}@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/relay`
    const { relays } = await startCluster(t, 2, 'postgres', { DATABASE_URL: url, DATABASE_DEADLINE_MS: 2_000 })
    const alice = await relays[0]!.join('alice')
    const bob = await relays[1]!.join('bob')
    alice.send(send('bob', 'before'))
    assert.equal((await bob.next('message')).payload.message, 'before')
    alice.send(send('carol', 'waits'))
    await alice.next('message_queued')

    primary.kill()
    await standby.promote()
    const isReady = async () => {
      const answers = await Promise.all(relays.map(({ app }) => app.inject('/health/ready')))
      return answers.every(({ statusCode }) => statusCode === 200)
    }
    await until('both relays are ready', isReady, 20_000)
    await until('the relays have their places again', () => relays.every(({ app }) => app.cluster!.lease.holds), 10_000)
    await until('messages cross again', async () => {
      alice.send(send('bob', 'after'))
      return (await bob.next('message', 1_000).catch(() => undefined)) !== undefined
    })
    const carol = await relays[1]!.join('carol')
    assert.equal((await carol.next('message')).payload.message, 'waits')
  }
)
