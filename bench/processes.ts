import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts CPU time in hundredths of a second, whatever the machine (USER_HZ). */
const MS_PER_TICK = 10

/** CPU time a process, its children and those that ended have used, in ms; undefined where there is no /proc. */
export function cpuMsOfTree(pid: number): number | undefined {
  const own = ticksOf(pid)
  if (own === undefined) return undefined
  let ticks = own
  for (const child of childrenOf(pid)) ticks += (cpuMsOfTree(child) ?? 0) / MS_PER_TICK
  return ticks * MS_PER_TICK
}

/** Memory of one process that is in RAM, in bytes; undefined where there is no /proc. */
export function residentBytes(pid: number): number | undefined {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** proc(5), /proc/pid/stat: utime, stime, cutime and cstime are fields 14 to 17; field 2 may hold spaces. */
function ticksOf(pid: number): number | undefined {
  const text = read(`/proc/${pid}/stat`)
  if (text === '') return undefined
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      (read(`/proc/${pid}/task/${task}/children`).match(/\d+/g) ?? []).map(Number)
    )
  } catch {
    return []
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it has ended, or this is not Linux
  }
}
