import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

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

/** The most memory a process has used at once since this was asked last, in bytes; undefined where there is no /proc. */
export function takePeakRss(pid: number): number | undefined {
  const kb = /^VmHWM:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/status`))?.[1]
  if (kb === undefined) return undefined
  writeFileSync(`/proc/${pid}/clear_refs`, '5') // proc(5): forgets the peak
  return Number(kb) * 1_024
}

/** CPU time of the whole machine so far, in ms: everything but idle and waiting for disks. */
export function cpuMsOfMachine(): number | undefined {
  const fields = /^cpu +(.*)$/m.exec(read('/proc/stat'))?.[1]?.split(' ').map(Number)
  if (fields === undefined) return undefined
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields
  return (user + nice + system + irq + softirq + steal) * MS_PER_TICK
}

/** Waits until nothing uses this machine, at most `patienceMs`. */
export async function quietMachine(patienceMs: number): Promise<void> {
  const deadline = performance.now() + patienceMs
  for (let last = cpuMsOfMachine(); performance.now() < deadline; ) {
    await delay(500)
    const now = cpuMsOfMachine()
    if (now === undefined || last === undefined || now - last < 500 * 0.1) return
    last = now
  }
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
