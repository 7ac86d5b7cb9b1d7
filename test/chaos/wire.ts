import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { atEnd, type Scope } from '../helpers/at-end.ts'

/** Which way nothing passes: to the server, from it, or neither. */
export type Direction = 'to' | 'from' | 'both'

/** A network between one relay and one server behind it: what does not pass is lost without a sign. */
export interface Wire {
  /** Where the relay finds the server. */
  readonly host: string
  readonly port: number
  /** From now on nothing passes this way, on connections that stand and on new ones. */
  cut(direction?: Direction): Promise<void>
  /** Everything passes again. */
  heal(): Promise<void>
}

/**
 * Stands before a server on this machine, where no namespace can be made. What was under way when it was cut is lost for
 * good, so connections from before are reset when it is healed.
 */
export async function startWire(scope: Scope, targetPort: number): Promise<Wire> {
  const open = new Set<{ isStale: boolean; end(): void }>()
  let lost: Direction | undefined
  const passes = (direction: Direction) => lost === undefined || (lost !== 'both' && lost !== direction)
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1')
    const pair = {
      isStale: lost !== undefined,
      end: () => {
        client.destroy()
        upstream.destroy()
      }
    }
    open.add(pair)
    pass(client, upstream, () => passes('to'))
    pass(upstream, client, () => passes('from'))
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        if (lost !== undefined) return // the other end is not told
        open.delete(pair)
        pair.end()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(scope, () => {
    for (const { end } of open) end()
    server.close()
  })
  return {
    host: '127.0.0.1',
    port: (server.address() as { port: number }).port,
    cut: async (direction = 'both') => {
      lost = direction
    },
    heal: async () => {
      lost = undefined
      for (const pair of open) pair.end()
      open.clear()
    }
  }
}

function pass(from: Socket, to: Socket, passes: () => boolean): void {
  from.on('data', (chunk: Buffer) => {
    if (passes()) to.write(chunk)
  })
}
