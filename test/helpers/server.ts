import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../../src/config/read.ts'
import { type RunningServer, type ServerOptions, startServer } from '../../src/server.ts'
import { atEnd, type Scope } from './at-end.ts'
import { createTestDatabase, temporaryDirectory } from './database.ts'
import { type L2psPeer, openL2psPeer } from './l2ps-peer.ts'
import { nodeKeyFile } from './node-key.ts'
import { openPeer, type Peer } from './peer.ts'
import { TEST_HOME } from './test-cluster.ts'
import { until } from './wait.ts'

export interface TestServer extends RunningServer {
  readonly databaseUrl: string
  /** A connection that has said nothing yet. */
  peer(): Promise<Peer>
  /** A connection that is registered: with a quick identity, unless one is given. */
  join(clientId: string, identity?: Peer['identity']): Promise<Peer>
  /** A connection to the L2PS door that has said nothing yet. */
  l2psPeer(): Promise<L2psPeer>
  /** A connection that is registered in an L2PS network: with a fresh ed25519 key, unless one is given. */
  enter(uid: string, signer?: L2psPeer['signer']): Promise<L2psPeer>
  /** Makes L2PS networks, open to everybody unless they list members. */
  addNetworks(...networks: (string | { uid: string; members: string[] })[]): Promise<void>
  /** Waits until no mailbox holds anything. */
  emptied(): Promise<void>
}

export type Settings = Readonly<Record<string, string | number>>

/** What all relays of a cluster have in common: made from its database, so that each test server finds the same. */
export function sharedByRelays(databaseUrl: string): Record<string, string> {
  const key = nodeKeyFile(
    process.env[TEST_HOME] ?? tmpdir(),
    `node-key-${createHash('sha256').update(databaseUrl).digest('hex').slice(0, 16)}.pem`
  )
  return { ADMIN_TOKEN: CLUSTER_TOKEN, NODE_KEY_FILE: key, AUDIT_ORIGIN: 'relay.example/cluster' }
}

export const CLUSTER_TOKEN = 'the-token-of-a-test-cluster'

const nodeKeys = new Map<string, string>()

/** Servers of one database share the key of the first: another one is refused. */
function nodeKeyOf(databaseUrl: string, dataDir: string): string {
  const file = nodeKeys.get(databaseUrl) ?? join(dataDir, 'node.key')
  nodeKeys.set(databaseUrl, file)
  return file
}

/** The real server on a free port and on a database of its own (or the given one), closed after the test. */
export async function startTestServer(
  t: Scope,
  settings: Settings = {},
  options: ServerOptions = {}
): Promise<TestServer> {
  const dataDir = await temporaryDirectory(t)
  const databaseUrl = String(settings.DATABASE_URL ?? (await createTestDatabase(t)).url)
  const env = {
    RPC_SIGNALING_PORT: 0,
    L2PS_MESSAGING_PORT: 0,
    DATABASE_POOL_SIZE: 4,
    DATABASE_URL: databaseUrl,
    DATA_DIR: dataDir,
    NODE_KEY_FILE: nodeKeyOf(databaseUrl, String(settings.DATA_DIR ?? dataDir)),
    ...(settings.CLUSTER_NAME === undefined ? {} : sharedByRelays(databaseUrl)),
    ...settings
  }
  const { config, mistakes } = readConfig(
    Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]))
  )
  if (config === undefined) throw new Error(mistakes?.join('\n'))
  const server = await startServer(config, options)
  atEnd(t, () => server.close())
  const peer = () => openPeer(t, server.addresses.signaling)
  const l2psPeer = () => openL2psPeer(t, server.addresses.l2ps!)
  return {
    ...server,
    databaseUrl,
    peer,
    join: async (clientId, identity) => {
      const joined = await peer()
      await joined.register(clientId, identity)
      return joined
    },
    l2psPeer,
    enter: async (uid, signer) => {
      const entered = await l2psPeer()
      await entered.register(uid, signer)
      return entered
    },
    addNetworks: async (...networks) => {
      const { sql } = server.app.database
      for (const network of networks) {
        const { uid, members = [] } = typeof network === 'string' ? { uid: network } : network
        await sql`insert into l2ps_network (uid) values (${uid})`
        for (const peer of members) await sql`insert into l2ps_member (uid, peer) values (${uid}, ${peer})`
      }
      await server.app.networks.refresh()
    },
    emptied: async () => {
      let left = 0
      const isEmpty = async () => {
        await server.app.mailboxes.drained()
        left = (await server.app.database.sql`select count(*)::int as left from queue_entry`)[0]!.left
        return left === 0
      }
      await until(() => `${left} messages are still waiting`, isEmpty, 5_000)
    }
  }
}
