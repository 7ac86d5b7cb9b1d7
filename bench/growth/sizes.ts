// What tables and indexes hold, and how much of it is dead.
import type postgres from 'postgres'

/** The tables that rows enter and leave all the time. */
export const HOT = [
  'queue_entry',
  'quota',
  'audit_inbox',
  'audit_log',
  'audit_sender',
  'used_proof',
  'contact',
  'identity'
] as const

export interface TableSize {
  readonly table: string
  readonly rows: number
  /** As the statistics of Postgres have it: a second or so late. */
  readonly dead: number
  readonly tableKb: number
  readonly indexKb: number
  readonly vacuums: number
  /** What the migrations chose. */
  readonly options: string
}

export async function sizesOf(sql: postgres.Sql, tables: readonly string[]): Promise<TableSize[]> {
  return sql<TableSize[]>`
    select t.name as table, n_live_tup::float8 as rows, n_dead_tup::float8 as dead,
      pg_table_size(relid)::float8 / 1024 as "tableKb", pg_indexes_size(relid)::float8 / 1024 as "indexKb",
      autovacuum_count::float8 as vacuums, coalesce(array_to_string(reloptions, ' '), '') as options
    from unnest(${tables as string[]}::text[]) with ordinality as t (name, place)
      join pg_stat_user_tables s on s.relname = t.name join pg_class c on c.oid = s.relid
    order by place`
}

/** All tables of the database, largest first. */
export async function allTables(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select relname as name from pg_stat_user_tables order by pg_total_relation_size(relid) desc`
  return rows.map(({ name }) => name)
}
