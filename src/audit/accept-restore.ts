import { setTimeout } from 'node:timers/promises'
import type { Database, TransactionSql } from '../database/database.ts'
import { insertAuditEvents } from '../store/audit-inbox.ts'
import { type AuditLog, beginEpoch, holdSequencer, openLogs } from '../store/audit-log.ts'
import { EMPTY_ROOT } from '../tlog/tree.ts'
import type { CheckpointMemory, Remembered } from './checkpoint-file.ts'
import { beginsWith, faultBySize } from './consistency.ts'

/** A server holds the logs for some ms a batch, so a few tries are enough. */
const TRIES = 100
const PAUSE_MS = 50

/**
 * An operator accepts that signed records are lost: the log goes on from what the database has. Under its old name that
 * would contradict what was signed, so the log gets a new name (its next epoch) and a record that says what was lost.
 * Undefined when nothing is lost. Running servers notice it by themselves.
 */
export async function acceptRestore(
  database: Database,
  memory: CheckpointMemory,
  network: string,
  now: number
): Promise<Decision> {
  const last = memory.get(network)
  if (last === undefined) return undefined
  for (let tries = 1; ; tries++) {
    const outcome = await decide(database, last, network, now)
    if (outcome !== 'busy') return outcome
    if (tries === TRIES) throw new Error('servers are adding to the logs all the time: try again')
    await setTimeout(PAUSE_MS)
  }
}

type Decision = { epoch: number; size: number; lostSize: number } | undefined

/** `busy`: a server holds the logs at this moment. */
function decide(database: Database, last: Remembered, network: string, now: number): Promise<Decision | 'busy'> {
  return database.within(
    database.sql.begin(async (tx) => {
      if (!(await holdSequencer(tx)).isHeld) return 'busy'
      const [log] = await openLogs(tx, [network], EMPTY_ROOT)
      if (log === undefined || (await isKept(tx, log, last))) return undefined
      const epoch = Math.max(log.epoch, last.epoch) + 1
      await beginEpoch(tx, log, epoch)
      const digest = Buffer.from(last.root).toString('hex')
      await insertAuditEvents(tx, [{ kind: 'restore', network, digest, bytes: last.size, acceptedAt: now }])
      return { epoch, size: log.size, lostSize: last.size }
    }) as Promise<Decision | 'busy'>
  )
}

/** Whether the log still begins with what was signed, or an operator has decided already. */
async function isKept(tx: TransactionSql, log: AuditLog, last: Remembered): Promise<boolean> {
  if (faultBySize(log, last) !== undefined) return false
  if (last.epoch < log.epoch) return true
  return beginsWith(tx, log, last)
}
