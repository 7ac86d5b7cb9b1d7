import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * What distinguishes a running process from any other that had or will have the same pid: when it started. Undefined
 * when no such process runs; one that has ended and only waits to be collected by its parent counts as gone.
 */
export function processIdentity(pid: number): string | undefined {
  if (!signalled(pid)) return undefined
  if (process.platform === 'linux') return linuxIdentity(pid)
  if (process.platform === 'win32') return 'running'
  return ask('ps', ['-o', 'lstart=', '-p', String(pid)])
}

/** Is the process a Postgres that was started on this data directory (`-D directory`)? */
export function isPostgresOn(pid: number, directory: string): boolean {
  if (processIdentity(pid) === undefined) return false
  if (process.platform === 'linux') {
    // Not /proc/…/cwd or /exe: in a container, root may not look into another user's process.
    const [program, ...rest] = read(`/proc/${pid}/cmdline`)?.split('\0') ?? []
    return program !== undefined && basename(program) === 'postgres' && rest.includes(directory)
  }
  const command = ask('ps', ['-o', 'command=', '-p', String(pid)])
  return command?.includes('postgres') === true && command.includes(directory)
}

/** Waits until the process is gone; false when it still runs after `ms`. */
export async function goneWithin(pid: number, ms: number): Promise<boolean> {
  const end = Date.now() + ms
  while (processIdentity(pid) !== undefined) {
    if (Date.now() > end) return false
    await delay(25)
  }
  return true
}

function signalled(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Boot and start tick (proc(5), /proc/pid/stat field 22). The name in field 2 may hold spaces and parentheses. */
function linuxIdentity(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined
  return `${read('/proc/sys/kernel/random/boot_id')?.trim()}/${fields[19]}`
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function ask(program: string, args: string[]): string | undefined {
  try {
    return execFileSync(program, args, { encoding: 'utf8' }).trim() || undefined
  } catch {
    return undefined
  }
}
