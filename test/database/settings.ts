// The tests of the store, on databases where somebody has set other things than PostgreSQL's defaults.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Sql } from '../../src/database/database.ts'
import { seededRandom } from '../chaos/random.ts'
import { SETTINGS } from '../helpers/database.ts'

export type SettingsTried = Record<string, string>

/**
 * Left out: they say where things are kept, what is logged, or that this role is another; or they are refused. Those of
 * vacuum_cost_* slow down what only the tests do.
 */
const LEFT_OUT =
  /^(default_(tablespace|table_access_method|toast_compression|transaction_read_only)|temp_tablespaces|search_path|role|session_authorization|session_replication_role|(local_|session_|shared_)?preload_libraries|dynamic_library_path|extension_control_path|debug_.*|trace_.*|log_.*|seed|transaction_(isolation|deferrable|read_only)|.*_timeout_.*|backtrace_functions|allow_.*|ignore_.*|zero_damaged_pages|event_source|max_stack_depth|lc_messages|jit_provider|unix_.*|wal_consistency_checking|restrict_nonsystem_relation_kind|is_superuser|lo_compat_privileges|in_hot_standby|track_.*|vacuum_cost_.*|plpgsql\..*)$/

/** Of texts, values that are known to change something. */
const TEXTS: Readonly<Record<string, readonly string[]>> = {
  DateStyle: ['German, DMY', 'SQL, MDY', 'Postgres, DMY'],
  TimeZone: ['Asia/Kolkata', 'America/St_Johns', 'Pacific/Kiritimati'],
  client_encoding: ['SQL_ASCII', 'LATIN1', 'WIN1252'],
  default_text_search_config: ['pg_catalog.german'],
  lc_monetary: ['C.UTF-8'],
  lc_numeric: ['C.UTF-8'],
  lc_time: ['C.UTF-8']
}
/** A second at least: a statement that connects must have a chance. */
const LEAST_TIME_MS = 1_000

interface Known {
  readonly name: string
  readonly kind: string
  readonly default: string
  readonly unit: string | null
  readonly least: string | null
  readonly most: string | null
  readonly choices: string[] | null
}

/** Every setting that can be given to a database, with values that are not its default. */
export async function knownSettings(sql: Sql): Promise<Record<string, string[]>> {
  const rows = await sql<Known[]>`
    select name, vartype as kind, boot_val as default, unit, min_val as least, max_val as most, enumvals as choices
    from pg_settings where context in ('user', 'superuser') order by name`
  const values = rows
    .filter(({ name }) => !LEFT_OUT.test(name))
    .map((known) => [known.name, valuesOf(known)] as const)
    .filter(([, tried]) => tried.length > 0)
  return Object.fromEntries(values)
}

function valuesOf({ name, kind, default: usual, least, most, choices }: Known): string[] {
  if (TEXTS[name] !== undefined) return [...TEXTS[name]]
  if (kind === 'bool') return [usual === 'on' ? 'off' : 'on']
  if (kind === 'enum') return (choices ?? []).filter((choice) => choice !== usual)
  if (kind === 'string') return []
  const low = /timeout/.test(name) ? Math.max(Number(least), LEAST_TIME_MS) : Number(least)
  return [low, Math.min(Number(most), low + 1_000), Number(most)].map(String).filter((value) => value !== usual)
}

/** Always the same, so that everybody's run tries the same. SETTINGS_SEED: a number, or `random`. */
export function settingsSeed(): number {
  const given = process.env.SETTINGS_SEED ?? '1'
  return given === 'random' ? randomInt(2 ** 31) : Number(given)
}

/** Every value of every setting once, in rounds of about `count` settings. The seed says which of them come together. */
export function dealt(known: Record<string, string[]>, count: number, seed: number): SettingsTried[] {
  const random = seededRandom(seed)
  const pairs = Object.entries(known).flatMap(([name, values]) => values.map((value) => ({ name, value })))
  const most = Math.max(...Object.values(known).map((values) => values.length))
  const rounds: SettingsTried[] = Array.from({ length: Math.max(most, Math.ceil(pairs.length / count)) }, () => ({}))
  for (const { name, value } of pairs) {
    const free = rounds.filter((round) => !(name in round))
    const least = Math.min(...free.map((round) => Object.keys(round).length))
    random.pick(free.filter((round) => Object.keys(round).length <= least + 2))[name] = value
  }
  return rounds
}

/** Runs the test files of the store (or those that are named) with these settings; fails with their output. */
export async function storeTestsPass(t: TestContext, settings: SettingsTried, files = /./) {
  const home = join(dirname(fileURLToPath(import.meta.url)), '../store')
  const names = (await readdir(home)).filter((name) => /\.test\.[jt]s$/.test(name) && files.test(name))
  const env = { ...process.env, [SETTINGS]: JSON.stringify(settings), NODE_TEST_CONTEXT: undefined }
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', ...names.map((name) => join(home, name))], {
    env,
    stdio: ['ignore', 'pipe', 'inherit']
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
  })
  t.signal.addEventListener('abort', () => child.kill('SIGKILL'))
  const code = await new Promise((resolve) => child.once('close', resolve))
  const failed = output.split('\n').filter((line) => /not ok|error:|code:/.test(line))
  assert.equal(code, 0, `${JSON.stringify(settings)}\n${failed.slice(0, 40).join('\n')}`)
  assert.match(output, /# pass [1-9]/)
}
