// What a restore drill needs: a server with messages waiting, and somebody who writes all the time.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type postgres from 'postgres'
import type { Identity } from '../../client/src/identity.ts'
import { withConnection } from '../../src/backup/postgres.ts'
import { embeddedUrl } from '../../src/database/embedded/embedded-postgres.ts'
import { type ServerProcess, serverProcess } from '../chaos/server-process.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { openPeer, quickIdentity } from '../helpers/peer.ts'
import { postgresUnder, signalTree } from '../helpers/processes.ts'

export interface DrillServer {
  readonly process: ServerProcess
  /** Its settings, for the commands. */
  readonly env: Readonly<Record<string, string>>
  /** Looks into its database while it runs. */
  look<T>(work: (sql: postgres.Sql) => Promise<T>): Promise<T>
}

/** A server in a process of its own; `databaseUrl` undefined: with the embedded database. */
export async function startDrillServer(t: Scope, dataDir: string, databaseUrl?: string): Promise<DrillServer> {
  const env = {
    ...{ DATA_DIR: dataDir, RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0' },
    ...{ AUDIT_INTERVAL_MS: '50', SIGNALING_QUOTA_PER_SENDER: '100000' },
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl })
  }
  const server = serverProcess(t, { env, cwd: dataDir, steppedClock: false })
  // The PostgreSQL of a server that was killed lives on.
  atEnd(t, () => {
    for (const pid of postgresUnder(dataDir)) signalTree(pid, 'SIGKILL')
  })
  await server.start()
  const url = async () => {
    if (databaseUrl !== undefined) return databaseUrl
    const { port } = server.logged('embedded Postgres is running')!
    return embeddedUrl((await readFile(join(dataDir, 'postgres-password'), 'utf8')).trim(), Number(port))
  }
  return { process: server, env, look: async (work) => withConnection(await url(), work) }
}

export interface Writer {
  /** Texts whose `message_queued` has come. */
  readonly acknowledged: string[]
  /** Resolves when so many are. */
  reached(count: number): Promise<void>
  stop(): Promise<void>
}

/** Somebody who writes to one absent peer, one message after the other, each known to be stored before the next. */
export async function startWriter(t: Scope, url: string, name: string, to: string): Promise<Writer> {
  const peer = await openPeer(t, url)
  await peer.register(name)
  const acknowledged: string[] = []
  let isStopping = false
  const writing = (async () => {
    while (!isStopping) {
      const text = `${name} to ${to}: ${acknowledged.length + 1}`
      peer.send({ type: 'message', payload: { targetId: to, message: { text } } })
      await peer.next('message_queued')
      acknowledged.push(text)
      peer.ws.emit('acknowledged')
    }
  })()
  writing.catch(() => {}) // the server is killed under it
  return {
    acknowledged,
    reached: async (count) => {
      while (acknowledged.length < count)
        await Promise.race([new Promise((resolve) => peer.ws.once('acknowledged', resolve)), writing])
    },
    stop: async () => {
      isStopping = true
      await writing.catch(() => {})
    }
  }
}

/** Comes as the owner of a mailbox and takes that many messages, which must be all there are. */
export async function collect(t: Scope, url: string, owner: Owner, count: number): Promise<string[]> {
  const peer = await openPeer(t, url)
  await peer.register(owner.name, owner.identity)
  const texts: string[] = []
  while (texts.length < count) texts.push((await peer.next('message')).payload.message.text)
  await peer.nothingMore()
  await peer.close()
  return texts
}

export interface Owner {
  readonly name: string
  readonly identity: Identity
}

/** Registers a name once, so that its mailbox has an owner. */
export async function claim(t: Scope, url: string, name: string): Promise<Owner> {
  const identity = await quickIdentity()
  const peer = await openPeer(t, url)
  await peer.register(name, identity)
  await peer.close()
  return { name, identity }
}
