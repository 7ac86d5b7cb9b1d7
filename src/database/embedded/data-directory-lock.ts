import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { StartError } from '../../util/start-error.ts'
import { processIdentity } from './process-identity.ts'

/** Another running server has the data directory. The message says which process, and what to do. */
export class DataDirectoryInUse extends StartError {
  override name = 'DataDirectoryInUse'
}

interface Holder {
  pid: number
  identity: string
}

/**
 * Takes the data directory for this process; returns what gives it back. A lock whose holder no longer runs is taken
 * over, even when its pid now belongs to another program.
 */
export function lockDataDirectory(directory: string): () => void {
  const lock = join(directory, 'demos-relay.lock')
  const draft = `${lock}.${process.pid}`
  writeFileSync(draft, JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) }), { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      // A link appears whole or not at all, so no server reads a half-written lock.
      if (linked(draft, lock)) return () => release(lock)
      const text = readText(lock)
      const holder = parseHolder(text)
      if (holder && processIdentity(holder.pid) === holder.identity) throw inUse(directory, holder.pid)
      if (text !== undefined) setAside(lock, text)
    }
    throw new StartError(`could not lock ${directory}: other servers keep starting and stopping there`)
  } finally {
    rmSync(draft, { force: true })
  }
}

function inUse(directory: string, pid: number): DataDirectoryInUse {
  return new DataDirectoryInUse(
    `the data directory ${directory} is in use by the demos-relay with process id ${pid}: stop it first, or give this one its own DATA_DIR`
  )
}

/** Removes a dead holder's lock, unless another server has just replaced it with its own. */
function setAside(lock: string, stale: string): void {
  const aside = `${lock}.stale.${process.pid}`
  try {
    renameSync(lock, aside)
  } catch {
    return // another server was faster
  }
  if (readText(aside) !== stale) linked(aside, lock)
  rmSync(aside, { force: true })
}

function release(lock: string): void {
  if (parseHolder(readText(lock))?.pid === process.pid) rmSync(lock, { force: true })
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function parseHolder(text: string | undefined): Holder | undefined {
  try {
    const { pid, identity } = JSON.parse(text ?? '') as Partial<Holder>
    return typeof pid === 'number' && typeof identity === 'string' ? { pid, identity } : undefined
  } catch {
    return undefined
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
