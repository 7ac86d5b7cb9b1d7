// A machine for one relay: a network namespace with a cable to this one. Takes root.
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { promisify } from 'node:util'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import type { Direction, Wire } from './wire.ts'

const run = promisify(execFile)
const ip = (...args: string[]) => run('ip', args)

export interface RelayHost {
  /** Where the relay listens. */
  readonly address: string
  /** Comes before the relay's program: it runs in the namespace. */
  readonly prefix: readonly string[]
  /** A way from the relay to a server on this machine, by addresses of its own. At most four. */
  wireTo(port: number): Promise<Wire>
}

/** Where packets go that are to be lost: no machine has this address. */
const NOWHERE = '02:00:00:00:00:99'

/** Why no such machine can be made here, or undefined. */
export async function missingForHosts(): Promise<string | undefined> {
  const name = `dr-try-${process.pid}`
  try {
    await ip('netns', 'add', name)
    await ip('netns', 'del', name)
    return undefined
  } catch {
    return 'network namespaces cannot be made here (that takes root and iproute2)'
  }
}

/**
 * Each has a net of its own, 10.231.1 to 10.250.250. The cable bears its name, and the kernel makes no two of one name: so
 * runs at the same time, and what a run that was killed left behind, are in nobody's way.
 */
export async function makeHost(scope: Scope): Promise<RelayHost> {
  await removeAbandoned()
  const name = `dr-${process.pid}-${randomUUID().slice(0, 8)}`
  await ip('netns', 'add', name)
  atEnd(scope, () => ip('netns', 'del', name)) // and with it the cable
  const net = await layCable(name)
  const [here, there] = cableOf(net)
  await ip('addr', 'add', `${net}.1/24`, 'dev', here)
  await ip('link', 'set', here, 'up')
  await ip('-n', name, 'addr', 'add', `${net}.2/24`, 'dev', there)
  await ip('-n', name, 'link', 'set', there, 'up')
  await ip('-n', name, 'link', 'set', 'lo', 'up')
  let wires = 0
  return {
    address: `${net}.2`,
    prefix: ['ip', 'netns', 'exec', name],
    wireTo: async (port) => {
      const [server, relay] = [`${net}.${10 + ++wires}`, `${net}.${20 + wires}`]
      await ip('addr', 'add', `${server}/24`, 'dev', here)
      await ip('-n', name, 'addr', 'add', `${relay}/24`, 'dev', there)
      await ip('-n', name, 'route', 'add', `${server}/32`, 'dev', there, 'src', relay)
      return wireBetween(scope, { name, here, there, server, relay }, port)
    }
  }
}

/** The ends of the cable, here and in the namespace. */
function cableOf(net: string): [string, string] {
  return [`dr${net}h`, `dr${net}r`]
}

/** Into the namespace. Resolves with the first net that no cable has. */
async function layCable(name: string): Promise<string> {
  for (let number = 0; number < 5_000; number++) {
    const net = `10.${231 + (number % 20)}.${1 + Math.floor(number / 20)}`
    const [here, there] = cableOf(net)
    try {
      await ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name)
      return net
    } catch (error) {
      if (!String(error).includes('File exists')) throw error
    }
  }
  throw new Error('no net is left for another machine: remove what `ip netns` lists as dr-…')
}

/** Namespaces of processes that were killed before they could remove them. */
async function removeAbandoned(): Promise<void> {
  const { stdout } = await ip('netns', 'list')
  for (const [name, pid] of stdout.matchAll(/^dr-(\d+)-\S+/gm))
    if (!existsSync(`/proc/${pid}`)) await ip('netns', 'del', name).catch(() => {}) // another run was faster
}

interface Ends {
  readonly name: string
  readonly here: string
  readonly there: string
  readonly server: string
  readonly relay: string
}

/** Packets are sent to a machine that is not there: lost without a sign, as by a switch that fails. */
async function wireBetween(scope: Scope, { name, here, there, server, relay }: Ends, port: number): Promise<Wire> {
  const forwarder = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    client.pipe(upstream).pipe(client)
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
  })
  forwarder.listen(0, server)
  await once(forwarder, 'listening')
  atEnd(scope, () => void forwarder.close())
  const ways = {
    to: ['-n', name, 'neigh', 'replace', server, 'lladdr', NOWHERE, 'dev', there, 'nud', 'permanent'],
    from: ['neigh', 'replace', relay, 'lladdr', NOWHERE, 'dev', here, 'nud', 'permanent']
  }
  return {
    host: server,
    port: (forwarder.address() as { port: number }).port,
    cut: async (direction: Direction = 'both') => {
      for (const way of ['to', 'from'] as const) if (direction === way || direction === 'both') await ip(...ways[way])
    },
    heal: async () => {
      await ip('-n', name, 'neigh', 'del', server, 'dev', there).catch(() => {})
      await ip('neigh', 'del', relay, 'dev', here).catch(() => {})
    }
  }
}
