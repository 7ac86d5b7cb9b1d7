// The steps of the restore drills. Real processes, killed; nothing is looked at from inside.
import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { parseCheckpoint } from '../../src/tlog/note.ts'
import { wrongQuotas } from '../chaos/database-check.ts'
import { runCli } from '../helpers/cli.ts'
import { temporaryDirectory, usedDataDirectory } from '../helpers/database.ts'
import { until } from '../helpers/wait.ts'
import { claim, collect, type DrillServer, type Owner, startDrillServer, startWriter } from './drill.ts'

interface Saved {
  readonly origin: DrillServer
  readonly backup: string
  readonly bob: Owner
  /** What was acknowledged before the backup began. */
  readonly acknowledged: readonly string[]
}

/** A server is saved while two peers write to one who is away, and is killed soon after. */
export async function saveUnderLoad(t: TestContext, databaseUrl?: string): Promise<Saved> {
  const origin = await startDrillServer(t, await usedDataDirectory(t), databaseUrl)
  const url = origin.process.url!
  const bob = await claim(t, url, 'bob')
  const writers = await Promise.all(['alice', 'carol'].map((name) => startWriter(t, url, name, 'bob')))
  await Promise.all(writers.map((writer) => writer.reached(40)))
  // A log that has no checkpoint yet cannot be verified after the restore.
  const httpUrl = url.replace(/^ws/, 'http')
  await until('every log has a checkpoint', async () => (await fetch(`${httpUrl}/audit/anchors/checkpoint`)).ok, 90_000)
  const acknowledged = writers.flatMap((writer) => writer.acknowledged)
  const counts = writers.map((writer) => writer.acknowledged.length)
  const backup = join(await temporaryDirectory(t), 'saved')
  const { code, stdout, stderr } = await runCli(t, ['backup', '--to', backup], { env: origin.env })
  assert.deepEqual([code, stderr], [0, ''], stdout)
  assert.match(stdout, /^backup: [\d,]+ files, /)
  for (const [at, writer] of writers.entries()) {
    assert.ok(writer.acknowledged.length > counts[at]!, 'nothing was written meanwhile')
    await writer.reached(writer.acknowledged.length + 5)
  }
  await origin.process.kill()
  await Promise.all(writers.map((writer) => writer.stop()))
  return { origin, backup, bob, acknowledged }
}

/** Restores into an empty place, starts a server on it, and holds it to what was promised. */
export async function restoreAndUse(t: TestContext, saved: Saved, databaseUrl?: string): Promise<DrillServer> {
  const { backup, bob, acknowledged } = saved
  const dataDir = await temporaryDirectory(t)
  const env = { DATA_DIR: dataDir, ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }) }
  const restored = await runCli(t, ['restore', '--from', backup], { env })
  assert.deepEqual([restored.code, restored.stderr], [0, ''], restored.stdout)
  assert.match(restored.stdout, /^audit verify: fine, /m)
  const waiting = waitingIn(restored.stdout)
  assert.equal((await stat(join(dataDir, 'node.key'))).mode & 0o777, 0o600)

  const server = await startDrillServer(t, dataDir, databaseUrl)
  assert.deepEqual(await server.look(wrongQuotas), [])
  const texts = await collect(t, server.process.url!, bob, waiting)
  assert.deepEqual(
    acknowledged.filter((text) => !texts.includes(text)),
    []
  )
  for (const name of ['alice', 'carol']) {
    const ofOne = texts.filter((text) => text.startsWith(name))
    assert.deepEqual(
      ofOne,
      ofOne.map((_, at) => `${name} to bob: ${at + 1}`)
    ) // in order, once each
  }

  const writer = await startWriter(t, server.process.url!, 'dave', 'bob')
  await writer.reached(3)
  await writer.stop()
  const log = await grownLog(server, waiting + writer.acknowledged.length)
  assert.match(log.origin, /\/signaling$/) // under its old name
  assert.deepEqual(await server.look(wrongQuotas), [])
  assert.equal(await server.process.stop(), 0)
  assert.deepEqual(server.process.problems, [])
  const verified = await runCli(t, ['audit', 'verify'], { env: server.env })
  assert.equal(verified.code, 0, verified.stdout)
  return server
}

/** How many messages a restore says are waiting. */
const waitingIn = (stdout: string) =>
  Number(/^restore: back to \S+ with ([\d,]+) messages waiting, 3 names, /m.exec(stdout)?.[1]?.replaceAll(',', ''))

/** The published checkpoint of signaling, once it covers so many records. */
async function grownLog(server: DrillServer, size: number) {
  return until(`the log of signaling has ${size} records`, async () => {
    const answer = await fetch(`${server.process.url!.replace('ws', 'http')}/audit/signaling/checkpoint`)
    const checkpoint = parseCheckpoint(await answer.text())
    return checkpoint.size >= size && checkpoint
  })
}

/** The same backup once more, where the server has gone on: what was signed since is not forgotten. */
export async function restoreOver(
  t: TestContext,
  { backup }: Saved,
  { env, process: server }: DrillServer
): Promise<void> {
  const refused = await runCli(t, ['restore', '--from', backup], { env })
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^demos-relay restore: the database is not empty \(\d+ tables\): --replace /)

  await server.start()
  const running = await runCli(t, ['restore', '--from', backup, '--replace'], { env })
  assert.match(
    running.stderr,
    /^demos-relay restore: \d+ others are connected to the database: stop the server first$/m
  )
  await server.stop()

  const behind = await runCli(t, ['restore', '--from', backup, '--replace'], { env })
  assert.equal(behind.code, 1, behind.stdout)
  assert.match(behind.stdout, /^signaling: a newer checkpoint than the backup's was signed here, and is kept$/m)
  assert.ok(waitingIn(behind.stdout) > 0)
  assert.match(behind.stderr, /everything is restored, but the audit trail is not verified/)

  const accepted = await runCli(t, ['audit', 'accept-restore', '--network', 'signaling'], { env })
  assert.equal(accepted.code, 0, accepted.stdout)
  assert.match(accepted.stdout, /signaling goes on with \d+ records as \S+@2/)
}

/** The server is stopped: its database is started for the backup alone. In its place nothing is restored while it runs. */
export async function saveStopped(t: TestContext, { env, process: server }: DrillServer): Promise<void> {
  const backup = join(await temporaryDirectory(t), 'saved')
  const { code, stderr } = await runCli(t, ['backup', '--to', backup], { env })
  assert.deepEqual([code, stderr], [0, ''])
  const restored = await runCli(t, ['restore', '--from', backup], { env: { DATA_DIR: await temporaryDirectory(t) } })
  assert.equal(restored.code, 0, restored.stderr)
  assert.match(restored.stdout, /^restore: back to \S+ with \d+ messages waiting, 4 names, /m)
  const over = await runCli(t, ['restore', '--from', backup], { env })
  assert.match(over.stderr, /holds an embedded database already: --replace puts it aside/)
  await server.start()
  const running = await runCli(t, ['restore', '--from', backup, '--replace'], { env })
  assert.deepEqual([running.code, /is in use by the demos-relay with process id \d+/.test(running.stderr)], [1, true])
  await server.stop()
}
