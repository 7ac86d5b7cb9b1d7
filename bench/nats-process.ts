// Debian's nats-server on a free port, in a directory of its own: it ends with the benchmark.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from '../src/database/embedded/embedded-postgres.ts'
import { answerParent } from './parent.ts'

/** What became of the wish for a NATS server. */
export interface NatsStart {
  readonly url: string
  readonly pid: number
  readonly version: string
  /** Does JetStream wait for the disk before it acknowledges? Servers before 2.10 cannot. */
  readonly syncsAlways: boolean
}

/** Debian keeps servers where an ordinary user's PATH does not look. */
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/usr/local/sbin` }
const run = promisify(execFile)
const START_MS = 10_000

let server: ChildProcess | undefined

answerParent(
  {
    /** Null: it is not installed. */
    start: async ({ home }: { home: string }): Promise<NatsStart | null> => {
      const version = await versionOf()
      if (version === undefined) return null
      const port = await freePort()
      const file = join(home, 'nats.conf')
      const syncsAlways = await configure(file, port, home)
      server = spawn('nats-server', ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'], env })
      await ready(server)
      return { url: `nats://127.0.0.1:${port}`, pid: server.pid!, version, syncsAlways }
    }
  },
  async () => {
    if (server === undefined || server.exitCode !== null) return
    const ended = new Promise((resolve) => server!.once('exit', resolve))
    server.kill('SIGTERM')
    await ended
  }
)

async function versionOf(): Promise<string | undefined> {
  try {
    const { stdout } = await run('nats-server', ['--version'], { env })
    return /\d+\.\d+\.\d+/.exec(stdout)?.[0] ?? 'of unknown version'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Writes the configuration; true: this server knows how to sync each message. */
async function configure(file: string, port: number, home: string): Promise<boolean> {
  const write = (sync: string) =>
    writeFile(file, `listen: "127.0.0.1:${port}"\njetstream { store_dir: ${JSON.stringify(home)}${sync} }\n`)
  await write(', sync_interval: always')
  try {
    await run('nats-server', ['-t', '-c', file], { env })
    return true
  } catch {
    await write('')
    return false
  }
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (how: string) => reject(new Error(`nats-server ${how}: ${said}`))
    const timer = setTimeout(() => fail(`was not ready within ${START_MS} ms`), START_MS)
    child.once('exit', (code) => fail(`ended with ${code}`))
    child.stderr!.on('data', (text) => {
      if (said.length < 10_000) said += text
      if (!/Server is ready/.test(said)) return
      clearTimeout(timer)
      resolve()
    })
  })
}
