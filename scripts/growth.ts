// npm run growth: the relay on tables as they are after years, beside the same relay on empty ones.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import postgres from 'postgres'
import { Bench, type Row } from '../bench/bench.ts'
import { buildServer, makeWorkplace } from '../bench/build.ts'
import { stopAllChildren } from '../bench/child.ts'
import { type Contender, startServer } from '../bench/contender.ts'
import { type BenchPostgres, startPostgres } from '../bench/database.ts'
import { churn, type Sample } from '../bench/growth/churn.ts'
import { fill, type Size } from '../bench/growth/fill.ts'
import { allTables, HOT, sizesOf, type TableSize } from '../bench/growth/sizes.ts'
import { readOld, sweepExpired, sweepHistory } from '../bench/growth/sweeps.ts'
import { isFlawless } from '../bench/load/verification.ts'
import { type Options, readOptions } from '../bench/options.ts'
import { protocolNamed } from '../bench/protocols/index.ts'
import { historyRun } from '../bench/scenarios/history.ts'
import { offlineRun } from '../bench/scenarios/offline.ts'
import { relayRun } from '../bench/scenarios/relay.ts'
import { compared, NO_COST, type Run } from '../bench/scenarios/scenario.ts'
import { stormRun } from '../bench/scenarios/storm.ts'
import { migrate } from '../src/database/migrate.ts'
import { Pool } from '../src/database/pool.ts'
import { packageFile } from '../src/util/package-root.ts'
import { onStop } from './on-stop.ts'

const HELP = `npm run growth -- [options]

Fills a database of its own straight with SQL, with rows of the shapes and sizes that the relay writes, and measures the
relay on it beside one on an empty database, in turn: relay, mailboxes, history, registrations, retention. Then messages are
stored and released for some minutes, and the sizes of the hot tables are read. Ends by itself and removes what it made.

  --messages N       stored messages of one L2PS network, each with its audit record (1000000)
  --queued N         messages that wait in mailboxes, half of them in signaling (100000)
  --identities N     half keys of that network, half client ids with ML-DSA-65 and ML-KEM-768 keys (100000)
  --body N           bytes of a stored message (300): with it 10,000,000 messages take some 20 GB on the disk
  --repeat N         runs of each kind; medians are reported (3)
  --churn-minutes N  how long messages are stored and released at the end (1)
  --data-dir DIR     where the database is made; should not be a RAM disk
  --help             this text

The last line is one line of JSON. Exit code 0: every message arrived once, in order and unaltered.
`
/** Wanted of every ratio. */
const WANTED = 0.8
/** What the sweeps delete, and the conversations that are read, are a part of this many messages. */
const SMALL = 100_000
const SWEPT = 20_000
const READ = 100
/** What a relay does after its start, a checkpoint of all records among it, is over by then, in ms. */
const SETTLED_MS = 5_000
const PAIRS = 50
const EACH = 400
const HISTORY = 2_000
const STORM = 1_000

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    queued: { type: 'string', default: '100000' },
    identities: { type: 'string', default: '100000' },
    body: { type: 'string', default: '300' },
    repeat: { type: 'string', default: '3' },
    'churn-minutes': { type: 'string', default: '1' },
    'data-dir': { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false }
  }
})

const undo: (() => Promise<unknown>)[] = []
let ending: Promise<void> | undefined
onStop(end)

if (values.help) process.stdout.write(HELP)
else {
  try {
    await main()
  } finally {
    await end()
  }
}

/** The relay on filled and on empty tables. */
interface Pair {
  readonly full: Contender
  readonly empty: Contender
}

async function main(): Promise<void> {
  const size: Size = {
    messages: number('messages', SMALL),
    queued: number('queued', SMALL / 2),
    identities: number('identities', 2),
    bodyBytes: number('body', 100)
  }
  const repeat = number('repeat', 1)
  const options = readOptions(['--repeat', String(repeat)]) as Options
  const workplace = await makeWorkplace()
  undo.push(() => workplace.remove())
  const build = await buildServer(workplace)
  const cluster = await startPostgres(values['data-dir'])
  undo.push(() => cluster.stop())
  const [fullUrl, smallUrl] = [await filled(cluster, size), await filled(cluster, smallOf(size))]
  const bench = new Bench(options, cluster, workplace.directory, build)
  undo.push(() => bench.stop())
  const settings = { main: build, home: workplace.directory, nodeOptions: [], postgres: cluster }
  const start = async (name: string, url: string) => {
    const began = performance.now()
    const contender = await startServer('server', { ...settings, shared: { databaseUrl: url, name, env: {} } })
    undo.push(() => contender.stop())
    return { contender, readyMs: Math.round(performance.now() - began) }
  }
  const full = await start('full', fullUrl)
  const empty = await start('empty', await cluster.newDatabase())
  await delay(SETTLED_MS)
  const sql = postgres(fullUrl, { max: 1, onnotice: () => {} })
  undo.push(() => sql.end({ timeout: 1 }))
  const tables = await sizesOf(sql, await allTables(sql))
  const pair = { full: await besides(full.contender), empty: await besides(empty.contender) }
  const rows = await measured(bench, pair, repeat)
  rows.push(...(await retention(bench, fullUrl, smallUrl, size, repeat)))
  const minutes = Number(values['churn-minutes'])
  const protocols = [protocolNamed('signaling'), protocolNamed('l2ps')]
  const samples = minutes > 0 ? await churn(bench, await besides(full.contender), sql, protocols, minutes) : []
  const ready = { full: full.readyMs, empty: empty.readyMs }
  const isOk = rows.every(({ verification }) => verification === undefined || isFlawless(verification))
  process.stdout.write(`${[...rowLines(rows), ...tableLines(tables), ...churnLines(samples)].join('\n')}\n`)
  process.stdout.write(`${JSON.stringify({ ok: isOk, size, ready, rows, tables, samples })}\n`)
  process.exitCode = isOk ? 0 : 1
}

function smallOf(size: Size): Size {
  return { ...size, messages: SMALL, queued: SMALL / 2, identities: 2 * SMALL }
}

/** A database with this much in it. */
async function filled(cluster: BenchPostgres, size: Size): Promise<string> {
  const url = await cluster.newDatabase()
  const ignore = () => {}
  const log = { debug: ignore, info: ignore, warn: ignore, error: ignore }
  const pool = new Pool({ url, size: 2, statementMs: 60_000, log })
  try {
    await migrate(pool.sql, packageFile('migrations'))
  } finally {
    await pool.end(1_000)
  }
  process.stderr.write(`${size.messages} messages, ${size.queued} that wait, ${size.identities} identities\n`)
  await fill(url, size, (text) => process.stderr.write(`${text}\n`))
  return url
}

/** A contender whose count of what is left behind begins with what waits already. */
async function besides(contender: Contender): Promise<Contender> {
  const before = await contender.settle()
  return { ...contender, settle: async () => (await contender.settle()) - before }
}

async function measured(bench: Bench, pair: Pair, repeat: number): Promise<Row[]> {
  const rows: Row[] = []
  const compare = async (row: Head, run: (contender: Contender) => Promise<Run>) =>
    rows.push(
      await inTurn(
        bench,
        row,
        repeat,
        () => run(pair.full),
        () => run(pair.empty)
      )
    )
  for (const name of ['signaling', 'l2ps'] as const) {
    const protocol = protocolNamed(name)
    const about = (scenario: string, title: string, unit = 'messages/s') => ({ scenario, protocol: name, title, unit })
    await compare(about('relay', `${PAIRS} pairs`), (on) => relayRun(bench, on, protocol, { pairs: PAIRS }))
    await compare(about('relay', 'one at a time'), (on) => relayRun(bench, on, protocol, { pairs: 1, window: 1 }))
    const drains: Run[] = []
    await compare(about('offline-store', `${PAIRS} × ${EACH}`), async (on) => {
      const { store, drain } = await offlineRun(bench, on, protocol, EACH)
      drains.push(drain)
      return store
    })
    const next = async () => drains.shift()!
    await compare(about('offline-drain', `${PAIRS} × ${EACH}`), next)
    await compare(about('storm', `${STORM} peers`, 'registrations/s'), (on) =>
      stormRun(bench, on, protocol, 'ed25519', STORM)
    )
  }
  const l2ps = protocolNamed('l2ps')
  const history = { scenario: 'history', protocol: 'l2ps', title: `${HISTORY}, new`, unit: 'messages/s' } as const
  await compare(history, (on) => historyRun(bench, on, l2ps, HISTORY))
  return rows
}

/** What the relay's sweeps do, and pages of old conversations, beside the same in a database that has little else. */
async function retention(bench: Bench, full: string, small: string, size: Size, repeat: number): Promise<Row[]> {
  const part = (url: string) => (url === full ? size : smallOf(size))
  const run =
    (messages: number) =>
    async (work: Promise<number>): Promise<Run> => {
      return { value: await work, messages, cost: NO_COST }
    }
  const row = (head: Head, messages: number, work: (url: string) => Promise<number>) =>
    inTurn(
      bench,
      head,
      repeat,
      () => run(messages)(work(full)),
      () => run(messages)(work(small))
    )
  const about = (title: string) => ({ scenario: 'store', protocol: 'l2ps', title, unit: 'messages/s' }) as const
  return [
    await row(about('old conversations'), READ * 100, (url) => readOld(url, READ)),
    await row(about('history sweep'), SWEPT, (url) => sweepHistory(url, SWEPT, part(url).messages)),
    await row(about('expiry sweep'), SWEPT / 4, (url) => sweepExpired(url, SWEPT / 4, part(url).queued))
  ]
}

type Head = Pick<Row, 'scenario' | 'protocol' | 'title' | 'unit'>

/** One after the other, and the other way round the next time: what one leaves to be done meets both. */
async function inTurn(
  bench: Bench,
  head: Head,
  repeat: number,
  full: () => Promise<Run>,
  empty: () => Promise<Run>
): Promise<Row> {
  const runs = { full: [] as Run[], empty: [] as Run[] }
  for (let at = 0; at < repeat; at++) {
    if (at % 2 === 1) runs.empty.push(await empty())
    runs.full.push(await full())
    if (at % 2 === 0) runs.empty.push(await empty())
    const [one, other] = [runs.full.at(-1)!, runs.empty.at(-1)!].map(({ value }) => Math.round(value))
    bench.say(`${head.scenario} ${head.protocol}, ${head.title}: full ${one}, empty ${other} ${head.unit}`)
  }
  return compared({
    head: { ...head, better: 'more' },
    server: runs.full,
    other: { what: 'empty', runs: runs.empty }
  })
}

function rowLines(rows: readonly Row[]): string[] {
  const cost = ({ facts }: Row, whose: 'server' | 'other') => {
    const [relay, database] = [facts[`${whose}CpuMicrosPerMessage`], facts[`${whose}DatabaseMicrosPerMessage`]]
    return relay === undefined ? '' : `${Math.round(relay)} + ${Math.round(database ?? 0)}`
  }
  return [
    '| what | full | empty | ratio | µs, full | µs, empty | |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map((row) => {
      const title = `${row.scenario} ${row.protocol}, ${row.title}`
      const [full, empty] = [row.server, row.other!].map(({ median }) => Math.round(median).toLocaleString('en'))
      const verdict = row.ratio! >= WANTED ? '' : 'less than wanted'
      return `| ${title} | ${full} ${row.unit} | ${empty} | ${row.ratio!.toFixed(2)} | ${cost(row, 'server')} | ${cost(row, 'other')} | ${verdict} |`
    })
  ]
}

function mb(kb: number): string {
  return (kb / 1_024).toFixed(kb < 10_240 ? 1 : 0)
}

function tableLines(tables: readonly TableSize[]): string[] {
  return [
    ...['', '| table | rows | MB | MB of indexes | autovacuum |', '| --- | --- | --- | --- | --- |'],
    ...tables
      .filter(({ tableKb }) => tableKb > 100)
      .map((t) => `| ${t.table} | ${t.rows} | ${mb(t.tableKb)} | ${mb(t.indexKb)} | ${t.options} |`)
  ]
}

/** For each table: MB of it and of its indexes, and dead rows, at each sample. */
function churnLines(samples: readonly Sample[]): string[] {
  if (samples.length === 0) return []
  const cell = ({ tables }: Sample, name: string) => {
    const found = tables.find(({ table }) => table === name)
    return found === undefined ? '' : `${mb(found.tableKb)} + ${mb(found.indexKb)}, ${found.dead}`
  }
  return [
    ...['', `| minute | messages | ${HOT.join(' | ')} |`, `| --- | --- | ${HOT.map(() => '---').join(' | ')} |`],
    ...samples.map(
      (s) => `| ${s.minute.toFixed(1)} | ${s.messages} | ${HOT.map((name) => cell(s, name)).join(' | ')} |`
    )
  ]
}

function number(name: 'messages' | 'queued' | 'identities' | 'body' | 'repeat', least: number): number {
  const value = Number(values[name])
  if (!Number.isSafeInteger(value) || value < least) throw new Error(`--${name} must be a number of at least ${least}`)
  return value
}

function end(): Promise<void> {
  ending ??= (async () => {
    for (const step of undo.splice(0).reverse()) {
      await step().catch((error: unknown) => process.stderr.write(`growth: ${(error as Error).message}\n`))
    }
    await stopAllChildren()
  })()
  return ending
}
