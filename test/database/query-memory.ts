// Prints by how many bytes the old generation grows for each query on the database it is given: alone, and in transactions of many.
import { getHeapSpaceStatistics } from 'node:v8'
import { type AnySql, Pool } from '../../src/database/pool.ts'
import { silentLog } from '../helpers/test-cluster.ts'

const QUERIES = 500
const TIMES = 5

const pool = new Pool({ url: process.argv[2]!, size: 1, statementMs: 20_000, log: silentLog })
const body = 'x'.repeat(1_000)
const collect = globalThis.gc as (options?: { type: 'minor' }) => void
const oldBytes = () => getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')!.space_used_size

async function ask(sql: AnySql): Promise<void> {
  for (let id = 0; id < QUERIES; id++) await sql`select ${body + id}::text as text, ${'b'}::text as b`
}

async function grownBy(work: () => Promise<unknown>): Promise<number> {
  for (let times = 0; times < TIMES; times++) await work()
  for (let times = 0; times < 3; times++) collect() // what is kept now is old
  const before = oldBytes()
  for (let times = 0; times < TIMES; times++) {
    await work()
    for (let more = 0; more < 2; more++) collect({ type: 'minor' }) // what the first one leaves, the second makes old
  }
  return (oldBytes() - before) / (QUERIES * TIMES)
}

const alone = await grownBy(() => ask(pool.sql))
const together = await grownBy(() => pool.sql.begin((tx) => ask(tx)))
process.stdout.write(JSON.stringify({ alone, together }))
await pool.end(1_000)
