// A start of the real program, as an operator or a platform makes it.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { atEnd, type Scope } from './at-end.ts'
import { temporaryDirectory } from './database.ts'
import { OWN_OPTIONS, ownFile } from './own-program.ts'

export type Env = Readonly<Record<string, string>>

export interface Started {
  /** 0: it was ready, and then stopped. */
  readonly code: number | null
  readonly output: string
  /** Reasons of fatal lines, and what was written to the terminal. */
  readonly reasons: string[]
}

export interface Surroundings {
  /** Default: an empty directory. */
  readonly cwd?: string
  /** A program that runs the rest of its arguments, and its own: the program is started by it. */
  readonly within?: readonly string[]
  /** When it is stopped, besides. */
  readonly stopWhen?: Promise<unknown>
}

/** Starts the program with no variables but these, until it has ended: it is stopped when it is ready. */
export async function startProgram(
  t: Scope,
  env: Env,
  { cwd, within = [], stopWhen }: Surroundings = {}
): Promise<Started> {
  const ports = { RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0' }
  const [file, ...words] = [...within, process.execPath, ...OWN_OPTIONS, ownFile('src/main.ts')]
  const child = spawn(file!, words, {
    env: { PATH: process.env.PATH, ...ports, ...env },
    cwd: cwd ?? (await temporaryDirectory(t)),
    stdio: ['ignore', 'pipe', 'pipe']
  })
  atEnd(t, () => child.kill('SIGKILL'))
  void stopWhen?.then(() => child.kill('SIGTERM'))
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk
    if (output.includes('server ready')) child.kill('SIGTERM')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk
  })
  const [code] = await once(child, 'close')
  const lines = output.split('\n').filter((line) => line.startsWith('{'))
  const fatal = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 'fatal')
  return { code, output: output + errors, reasons: [...fatal.map(({ reason }) => reason), ...(errors ? [errors] : [])] }
}

/** A user of no name, who may do nothing but what the owner of a file may. */
const NAMELESS = 31_337
export const AS_NAMELESS = ['unshare', '--user', `--map-user=${NAMELESS}`, `--map-group=${NAMELESS}`]

/** Nothing can be written but in `data`. What the script wrote elsewhere would end it. */
export const readOnlyBut = (data: string): readonly string[] => [
  ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-ec', READ_ONLY, 'sh', data]
]
const READ_ONLY = `
data=$1; shift
for each in "$data" .; do mount --bind "$each" "$each"; done
for each in "$PWD" /; do mount -o remount,ro,bind "$each"; done
cd "$PWD"
for each in . /tmp; do if touch "$each/written" 2>/dev/null; then echo "$each can be written" >&2; exit 99; fi; done
exec ${AS_NAMELESS.join(' ')} "$@"`

/** Options of a test that needs other surroundings for the program. */
export async function needsNamespaces(): Promise<{ skip?: string }> {
  try {
    await promisify(execFile)('unshare', ['--user', '--map-root-user', '--mount', 'true'])
    return {}
  } catch {
    return {
      skip: 'user and mount namespaces cannot be made here (that takes util-linux, and a system that lets users)'
    }
  }
}
