// Settings of a session that change what a statement means, what its result looks like, or how it is carried out. An
// operator may have set any of them for the database or the role; here they are what this server was tested with.

/** By name; settings that a server's version does not have are left out. */
const FIXED: Readonly<Record<string, string>> = {
  // Text
  client_encoding: 'UTF8',
  bytea_output: 'hex',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  lc_monetary: 'C',
  lc_numeric: 'C',
  lc_time: 'C',
  xmlbinary: 'base64',
  xmloption: 'content',
  client_min_messages: 'notice',
  quote_all_identifiers: 'off',
  // Meaning
  standard_conforming_strings: 'on',
  array_nulls: 'on',
  transform_null_equals: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  exit_on_error: 'off',
  row_security: 'on',
  session_replication_role: 'origin',
  // Time
  idle_session_timeout: '0',
  transaction_timeout: '0',
  // A server keeps the connections of a machine that is gone for two hours, by the defaults of Linux, and has few to give.
  tcp_keepalives_idle: '30',
  tcp_keepalives_interval: '10',
  tcp_keepalives_count: '3',
  // Plans
  plan_cache_mode: 'force_generic_plan',
  // A plan that was made while a mailbox table was empty is kept when it is full: it reads every row for every page
  // (decision 5).
  enable_seqscan: 'off',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  work_mem: '4MB',
  hash_mem_multiplier: '2'
}

/**
 * Sets a session up, in one statement. Planner settings that are not in the list get the value PostgreSQL is built with.
 * `search_path` becomes the one schema that has our tables, or will have them: whatever else is on the path cannot stand
 * before them, nor before pg_catalog. `statementMs`: limits of every statement; 0: none.
 */
export function setUp(schema: string, statementMs: number): string {
  const fixed = {
    ...FIXED,
    search_path: quoteIdent(schema),
    statement_timeout: String(statementMs),
    lock_timeout: String(statementMs),
    // A process that is cut off or stands still in the middle of a transaction must not hold its locks for long: senders and
    // the sequencers of other relays wait for them. Its own callers have given up by then.
    idle_in_transaction_session_timeout: String(2 * statementMs)
  }
  const rows = Object.entries(fixed).map(([name, value]) => `(${literal(name)}, ${literal(value)})`)
  return `
    set geqo = off; -- it may be set to try billions of plans for the next statement
    select pg_catalog.set_config(name, value, false)
    from (
      select name, boot_val as value, 1 as place from pg_catalog.pg_settings
      where context = 'user' and category like 'Query Tuning%' and setting <> boot_val
      union all
      select s.name, fixed.value, 2 from (values ${rows.join(', ')}) as fixed (name, value)
      join pg_catalog.pg_settings s on lower(s.name) = lower(fixed.name)
      where s.context = 'user' or (s.context = 'superuser' and pg_catalog.current_setting('is_superuser') = 'on')
      union all
      select name, 'on', 2 from pg_catalog.pg_settings
      where name = 'synchronous_commit' and setting <> 'remote_apply' -- which is stronger
      order by place
    ) as wanted`
}

/** What is asked of a server first, so no settings are right yet: it joins nothing, since that can be made to fail. */
export const FACTS = `
  select pg_catalog.pg_backend_pid() as pid, pg_catalog.pg_is_in_recovery() as "isStandby",
    pg_catalog.current_setting('transaction_read_only') = 'on' as "isReadOnly",
    pg_catalog.current_setting('server_encoding') as encoding,
    pg_catalog.current_setting('server_version_num')::int as version,
    pg_catalog.current_setting('session_replication_role') as triggers,
    coalesce(
      (select nspname from pg_catalog.pg_namespace where oid =
        (select relnamespace from pg_catalog.pg_class where oid = pg_catalog.to_regclass('schema_migration'))),
      pg_catalog.current_schema()) as schema`

export interface ServerFacts {
  /** Of the process that serves the session. */
  readonly pid: number
  readonly isStandby: boolean
  /** A standby, or a server or role that is set to read only. */
  readonly isReadOnly: boolean
  readonly encoding: string
  /** As server_version_num: 150004. */
  readonly version: number
  readonly triggers: string
  /** Where our tables are, or will be; null: the role's search_path names no schema that is there. */
  readonly schema: string | null
}

/** Least version, as server_version_num: the oldest one that tests run on. */
const LEAST_VERSION = 150_000

/** Why this database cannot be used, and what would help; undefined: it can. */
export function unfitness({ encoding, version, schema, triggers }: ServerFacts): string | undefined {
  if (version < LEAST_VERSION) {
    const found = `${Math.floor(version / 10_000)}`
    return `the server is PostgreSQL ${found}; this demos-relay needs ${LEAST_VERSION / 10_000} or newer`
  }
  if (encoding !== 'UTF8') {
    return `the database is encoded in ${encoding}, which cannot hold every message: use one made with "create database NAME encoding 'UTF8' template template0"`
  }
  if (triggers !== 'origin') {
    return `session_replication_role is ${triggers}, which turns constraints off: run "alter role NAME reset session_replication_role", and the same for the database`
  }
  if (schema === null) {
    return 'the role\'s search_path names no schema that is there: create one, or run "alter role NAME set search_path = SCHEMA"'
  }
  return undefined
}

/**
 * Behind a pooler in transaction mode nothing can be set for a session, so what matters must be the default of the role:
 * by name, the value to set, and those that are as good.
 */
const NEEDED_DEFAULTS: Readonly<Record<string, readonly [value: string, fits: RegExp]>> = {
  bytea_output: ['hex', /^hex$/],
  DateStyle: ['ISO', /^ISO/],
  standard_conforming_strings: ['on', /^on$/],
  array_nulls: ['on', /^on$/],
  transform_null_equals: ['off', /^off$/],
  exit_on_error: ['off', /^off$/],
  client_encoding: ['UTF8', /^UTF8$/],
  default_transaction_isolation: ['read committed', /^read committed$/],
  synchronous_commit: ['on', /^(on|remote_apply)$/],
  extra_float_digits: ['1', /^[1-3]$/],
  row_security: ['on', /^on$/],
  geqo_threshold: ['12', /^(1[2-9]|[2-9]\d|\d{3,})$/] // below it every join is searched for as geqo_pool_size says
}

/** Settings as a pooler's sessions have them. */
export const DEFAULTS = `
  select name, setting from pg_catalog.pg_settings
  where lower(name) in (${Object.keys(NEEDED_DEFAULTS)
    .map((name) => `'${name.toLowerCase()}'`)
    .join(', ')})`

/** What to run, as `alter role`, where some of them are not as they must be. */
export function corrections(settings: readonly { name: string; setting: string }[]): string[] {
  const given = new Map(settings.map(({ name, setting }) => [name.toLowerCase(), setting]))
  return Object.entries(NEEDED_DEFAULTS)
    .filter(([name, [, fits]]) => !fits.test(given.get(name.toLowerCase()) ?? ''))
    .map(([name, [value]]) => `alter role NAME set ${name} = '${value}'`)
}
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
const quoteIdent = (name: string): string => `"${name.replaceAll('"', '""')}"`
