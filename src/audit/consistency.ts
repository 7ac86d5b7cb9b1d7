// Does a log in the database still begin with what was signed of it? A database restored to an earlier time does not.
import type { AnySql, Database } from '../database/database.ts'
import { countBeyond } from '../store/audit-entry.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { Remembered } from './checkpoint-file.ts'
import { LogUnsafe, readEdges, rootsAt } from './stored-tree.ts'

/**
 * Why the log is behind what was signed; undefined: it is not. An earlier epoch is behind whatever its size; a later one
 * was an operator's decision.
 */
export function faultBySize(log: AuditLog, last: Remembered | undefined): string | undefined {
  if (last === undefined || last.epoch < log.epoch) return undefined
  const isBehind = last.epoch > log.epoch || last.size > log.size
  return isBehind
    ? `the database has ${log.size} records of epoch ${log.epoch}, but ${last.size} of epoch ${last.epoch} were signed: it was restored to an earlier time`
    : undefined
}

export const notKept = ({ size }: Remembered): string => `it does not begin with the ${size} records that were signed`

/** Whether the log's tree had the signed root at the signed size. */
export async function beginsWith(sql: AnySql, log: AuditLog, last: Remembered): Promise<boolean> {
  const [root] = await rootsAt(sql, [{ log, size: last.size }])
  return root instanceof Uint8Array && Buffer.from(root).equals(last.root)
}

/** What is wrong with a log that only the database can show: what was signed before, and what lies beyond its tree. */
export async function storedFaults(database: Database, log: AuditLog, last: Remembered | undefined): Promise<string[]> {
  const { sql } = database
  const faults: string[] = []
  const bySize = faultBySize(log, last)
  if (bySize !== undefined) faults.push(bySize)
  else if (last?.epoch === log.epoch && !(await database.within(beginsWith(sql, log, last)))) faults.push(notKept(last))
  const beyond = await database.within(countBeyond(sql, log))
  if (beyond > 0) faults.push(`${beyond} records lie beyond its tree`)
  try {
    await database.within(readEdges(sql, [log]))
  } catch (error) {
    if (!(error instanceof LogUnsafe)) throw error
    faults.push(error.message)
  }
  return faults
}
