import { createHash, randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import Fastify, { type FastifyInstance } from 'fastify'
import audit, { type AuditOptions } from '../../plugins/audit.ts'
import databasePlugin from '../../plugins/database.ts'
import health from '../../plugins/health.ts'
import metrics from '../../plugins/metrics.ts'
import { type AuditTrail, openAuditTrail } from '../../src/audit/trail.ts'
import { type Database, openDatabase, type Sql } from '../../src/database/database.ts'
import { type AuditEvent, insertAuditEvents, type MessageEvent } from '../../src/store/audit-inbox.ts'
import { atEnd } from '../helpers/at-end.ts'
import { createTestDatabase, temporaryDirectory } from '../helpers/database.ts'
import { silentLog } from '../helpers/test-cluster.ts'
import { type TrailSettings, trailOptions } from './trail-options.ts'

export const ADMIN = 'Bearer test-admin-token'

/** A message event; `number` makes it one of its own. */
export function message(number: number, changes: Partial<MessageEvent> = {}): MessageEvent {
  return {
    kind: 'message',
    network: 'signaling',
    sender: `sender-${number % 7}`,
    recipient: `recipient-${number % 5}`,
    digest: createHash('sha256').update(`body ${number}`).digest('hex'),
    bytes: 100 + number,
    acceptedAt: 1_700_000_000_000 + number,
    ...changes
  }
}

export const messages = (count: number, changes: Partial<MessageEvent> = {}): MessageEvent[] =>
  Array.from({ length: count }, (_, number) => message(number, changes))

export interface TestTrail extends AuditTrail {
  readonly database: Database
  readonly sql: Sql
  readonly url: string
  readonly dataDir: string
  /** Hands events in, and integrates and signs them. */
  record(events: readonly AuditEvent[]): Promise<void>
  /** Rounds until nothing is waiting. */
  settle(): Promise<void>
}

/** The audit trail on a database of its own (or the given one), not running by itself: tests say when. */
export async function openTestTrail(t: TestContext, settings: TrailSettings = {}): Promise<TestTrail> {
  const url = settings.url ?? (await createTestDatabase(t)).url
  const dataDir = settings.dataDir ?? (await temporaryDirectory(t))
  const database = await openDatabase({ url, dataDir, poolSize: 4, deadlineMs: 20_000 }, silentLog)
  atEnd(t, () => database.close())
  const trail = await openAuditTrail(database, silentLog, trailOptions(dataDir, settings))
  const settle = async () => {
    while (await trail.sequencer.round());
  }
  return {
    ...trail,
    ...{ database, sql: database.sql, url, dataDir, settle },
    record: async (events) => {
      await insertAuditEvents(database.sql, events)
      await settle()
    }
  }
}

export interface AuditServer {
  readonly app: FastifyInstance
  readonly url: string
}

/** A server with nothing but the audit trail, running, on a free port. */
export async function startAuditServer(
  t: TestContext,
  settings: TrailSettings & Partial<AuditOptions> = {}
): Promise<AuditServer & { dataDir: string; databaseUrl: string }> {
  const databaseUrl = settings.url ?? (await createTestDatabase(t)).url
  const dataDir = settings.dataDir ?? (await temporaryDirectory(t))
  const app = Fastify({ routerOptions: { maxParamLength: 2_000 } })
  await app.register(health)
  await app.register(metrics)
  await app.register(databasePlugin, { url: databaseUrl, dataDir, poolSize: 4, deadlineMs: 20_000 })
  await app.register(audit, {
    ...trailOptions(dataDir, settings),
    requestsPerMinute: 100_000,
    mayReadEntries: (request) => request.headers.authorization === ADMIN,
    isPublic: () => false,
    ...settings
  })
  atEnd(t, () => app.close())
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return { app, url, dataDir, databaseUrl }
}

/** A network nobody else has. */
export const someNetwork = (): string => randomBytes(8).toString('hex')
