// Finds out whether a message could be stored now.
import type { Sql } from '../database/database.ts'

/** Longest wait for a lock on a table, ms: shorter than the deadline of readiness, so that it can say what is locked. */
const LOCK_MS = 400
/** Characters of a row: nearly a page. */
const ROW = 8_000

/**
 * Takes the locks that storing a message takes, writes so many pages, takes them away again, and commits. Many pages need
 * room that the table has not yet; few of them use what was freed.
 */
export async function probeWrite(sql: Sql, pages: number): Promise<void> {
  await sql.begin((tx) =>
    tx.unsafe(`
      set local lock_timeout = ${LOCK_MS};
      lock table queue_entry, quota, message, audit_inbox in row exclusive mode;
      insert into write_probe select repeat('x', ${ROW}) from generate_series(1, ${pages});
      delete from write_probe`)
  )
}
