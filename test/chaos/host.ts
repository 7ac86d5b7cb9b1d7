// A machine for one relay: a network namespace with a cable to this one. Takes root.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
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

let hosts = 0

/** `number`s are those of this process, so that several runs at once do not meet. */
export async function makeHost(scope: Scope): Promise<RelayHost> {
  const number = ++hosts
  const name = `dr-${process.pid}-${number}`
  const [here, there] = [`dr${process.pid % 10_000}h${number}`, `dr${process.pid % 10_000}r${number}`]
  const net = `10.${231 + (process.pid % 20)}.${number}`
  await ip('netns', 'add', name)
  atEnd(scope, () => ip('netns', 'del', name)) // and with it the cable
  await ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', name)
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
