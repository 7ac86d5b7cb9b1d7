import type { AnySql } from '../database/database.ts'

/**
 * Age in seconds of the oldest transaction of this database that keeps deleted rows from being cleared away: one that is
 * open, or prepared and forgotten. Without the rights of pg_monitor only those of the same role are seen.
 */
export async function oldestSnapshot(sql: AnySql): Promise<number> {
  const [row] = await sql<{ seconds: number | null }[]>`
    select max(extract(epoch from clock_timestamp() - since))::float8 as seconds from (
      select xact_start as since from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()
        and (backend_xmin is not null or backend_xid is not null)
      union all
      select prepared from pg_prepared_xacts where database = current_database()
    ) as open`
  return Math.max(0, row?.seconds ?? 0)
}
