// How fast records are integrated, and how large they are: AUDIT_MEASURE=100000 npm test -- test/audit/measure
import { test } from 'node:test'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { messages, openTestTrail } from './helpers.ts'

const RECORDS = Number(process.env.AUDIT_MEASURE ?? 0)
const GROUP = 500

test('integration rate and size', { skip: RECORDS === 0 }, async (t) => {
  const trail = await openTestTrail(t, { batchEvents: 1_000 })
  const peers = messages(GROUP).map((event, index) => ({
    ...event,
    sender: `app-user-${index}`,
    recipient: `app-user-${index + 1}`
  }))
  const writing = await seconds(async () => {
    for (let sent = 0; sent < RECORDS; sent += GROUP) await insertAuditEvents(trail.sql, peers)
  })
  const inbox = await sizeOf('audit_inbox')
  const before = process.cpuUsage()
  const integrating = await seconds(trail.settle)
  const cpu = process.cpuUsage(before)
  const entry = await trail.sql<{ bytes: number }[]>`select avg(octet_length(entry))::float8 as bytes from audit_entry`
  const per = (bytes: number) => (bytes / RECORDS).toFixed(0)
  t.diagnostic(
    `into the inbox: ${(RECORDS / writing).toFixed(0)} events per second, ${per(inbox)} bytes each until integrated`
  )
  t.diagnostic(`integrated: ${(RECORDS / integrating).toFixed(0)} records per second`)
  t.diagnostic(`event loop and threads: ${((cpu.user + cpu.system) / RECORDS).toFixed(1)} µs a record`)
  t.diagnostic(
    `kept: ${per((await sizeOf('audit_entry')) + (await sizeOf('audit_tile')))} bytes a record with indexes and tiles, ${entry[0]!.bytes.toFixed(0)} of them the record`
  )

  async function sizeOf(table: string): Promise<number> {
    const [row] = await trail.sql<{ bytes: number }[]>`select pg_total_relation_size(${table}::regclass) as bytes`
    return row!.bytes
  }
})

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1_000
}
