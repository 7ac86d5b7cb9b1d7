// Debian's nats-server, for tests of relays that tell each other by NATS.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd, type Scope } from './at-end.ts'
import { findProgram } from './programs.ts'

export interface NatsServer {
  readonly url: string
  readonly port: number
  readonly process: ChildProcess
  /** kill -9 */
  kill(): Promise<void>
  start(): Promise<void>
  freeze(): void
  thaw(): void
}

/** Debian's nats-server on a free port. `config`: lines of its configuration. */
export async function startNats(scope: Scope, config = ''): Promise<NatsServer> {
  const port = await freePort()
  const home = await mkdtemp(join(tmpdir(), 'nats-'))
  atEnd(scope, () => rm(home, { recursive: true, force: true }))
  const file = join(home, 'nats.conf')
  await writeFile(file, `listen: 127.0.0.1:${port}\n${config}\n`)
  let child: ChildProcess
  const start = async () => {
    child = spawn(findProgram('nats-server')!, ['-c', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    await new Promise<void>((resolve, reject) => {
      let said = ''
      child.once('exit', (code) => reject(new Error(`nats-server ended with ${code}: ${said}`)))
      child.stderr!.on('data', (text) => {
        said += text
        if (/Server is ready/.test(said)) resolve()
      })
    })
  }
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }
  await start()
  atEnd(scope, async () => {
    child.kill('SIGCONT')
    await kill()
  })
  return {
    ...{ url: `nats://127.0.0.1:${port}`, port },
    get process() {
      return child
    },
    ...{ kill, start },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT')
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
