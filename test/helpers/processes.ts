import { type ChildProcess, execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** The process and its children. */
export function processTree(pid: number): number[] {
  const children =
    process.platform === 'linux' ? read(`/proc/${pid}/task/${pid}/children`) : ask('pgrep', ['-P', String(pid)])
  return [pid, ...(children.match(/\d+/g) ?? []).map(Number)]
}

/** Sends a signal to the process and its children, those that end meanwhile left out. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  for (const each of processTree(pid)) {
    try {
      process.kill(each, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

/** Postgres servers whose data directory lies under `home`, wherever they come from. */
export function postgresUnder(home: string): number[] {
  const servers: number[] = []
  for (const { pid, command } of process.platform === 'linux' ? processesOfLinux() : processesOfPs()) {
    if (command.includes(`postgres -D ${home}/`)) servers.push(pid)
  }
  return servers
}

function processesOfLinux(): { pid: number; command: string }[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map((pid) => ({ pid: Number(pid), command: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ') }))
}

function processesOfPs(): { pid: number; command: string }[] {
  const lines = ask('ps', ['-axww', '-o', 'pid=,command=']).split('\n')
  return lines.map((line) => ({ pid: Number.parseInt(line, 10), command: line }))
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // it has ended
  }
}

function ask(program: string, args: string[]): string {
  try {
    return execFileSync(program, args, { encoding: 'utf8' })
  } catch {
    return '' // nothing found
  }
}

/** The first JSON line with these words that the process writes to its standard output. */
export async function lineWith(child: ChildProcess, words: string): Promise<Record<string, unknown>> {
  let text = ''
  // Not closed when the line is found: the process has more to say, and must not find nobody there.
  for await (const chunk of child.stdout!.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
    text += chunk
    const line = text.split('\n').find((each) => each.includes(words))
    if (line !== undefined && text.includes(`${line}\n`)) {
      child.stdout!.resume()
      return JSON.parse(line)
    }
  }
  throw new Error(`ended without "${words}":\n${text}`)
}
