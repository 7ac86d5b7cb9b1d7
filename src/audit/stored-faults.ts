import type { Database } from '../database/database.ts'
import type { AuditLog } from '../store/audit-log.ts'
import type { Remembered } from './checkpoint-file.ts'
import { faultBySize } from './publisher.ts'
import { LogUnsafe, readEdges, rootsAt } from './stored-tree.ts'

/** What only the database's own side can show about a log: what was signed before, and what lies beyond its tree. */
export async function storedFaults(database: Database, log: AuditLog, last: Remembered | undefined): Promise<string[]> {
  const faults: string[] = []
  const bySize = faultBySize(log, last)
  if (bySize !== undefined) faults.push(bySize)
  else if (last?.epoch === log.epoch) {
    const [root] = await database.within(rootsAt(database.sql, [{ log, size: last.size }]))
    const isKept = root !== undefined && !(root instanceof LogUnsafe) && Buffer.from(root).equals(last.root)
    if (!isKept) faults.push(`it does not begin with the ${last.size} records that were signed`)
  }
  const [beyond] = await database.within(
    database.sql<{ count: number }[]>`select count(*) from audit_entry where log = ${log.id} and idx >= ${log.size}`
  )
  if (beyond!.count > 0) faults.push(`${beyond!.count} records lie beyond its tree`)
  try {
    await database.within(readEdges(database.sql, [log]))
  } catch (error) {
    if (!(error instanceof LogUnsafe)) throw error
    faults.push(error.message)
  }
  return faults
}
