import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { atEnd, type Scope } from '../helpers/at-end.ts'

/** One client's way to the server. */
export interface Link {
  /** Nothing passes any more, and neither end is told: a cable that was pulled. */
  cut(): void
  /** Both ends are reset after half of the next piece has passed. */
  resetMidFrame(): void
  /** From now on one byte a second passes, each way. */
  trickle(): void
}

export interface FaultyProxy {
  readonly url: string
  /** Where further connections go (ws://host:port), one after the other; none: they are refused. */
  targets: readonly string[]
  /** Connections that stand and pass everything. */
  links(): Link[]
}

type Mode = 'open' | 'cut' | 'reset' | 'trickle'

const TRICKLE_MS = 1_000
/** A piece shorter than this may be less than a frame's header, in bytes. */
const SHORTEST_FRAME = 16

/** Stands between the peers and the server, which may come back on another port; harms chosen connections. */
export async function startFaultyProxy(scope: Scope): Promise<FaultyProxy> {
  const open = new Set<{ link: Link; mode(): Mode; destroy(): void }>()
  const proxy: FaultyProxy = {
    url: '',
    targets: [],
    links: () => [...open].filter(({ mode }) => mode() === 'open').map(({ link }) => link)
  }
  let next = 0
  const server = createServer((client) => {
    const target = proxy.targets[next++ % Math.max(1, proxy.targets.length)]
    if (target === undefined) {
      client.destroy()
      return
    }
    const { hostname, port } = new URL(target)
    const entry = join(client, connect(Number(port), hostname))
    open.add(entry)
    client.once('close', () => open.delete(entry))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(scope, () => {
    for (const { destroy } of open) destroy()
    server.close()
  })
  return Object.assign(proxy, { url: `ws://127.0.0.1:${(server.address() as { port: number }).port}` })
}

function join(client: Socket, upstream: Socket) {
  let mode: Mode = 'open'
  const reset = () => {
    client.resetAndDestroy()
    upstream.resetAndDestroy()
  }
  const trickling: { to: Socket; bytes: Buffer }[] = []
  const drip = () => {
    for (const stream of trickling) {
      stream.to.write(stream.bytes.subarray(0, 1))
      stream.bytes = stream.bytes.subarray(1)
    }
  }
  let timer: NodeJS.Timeout | undefined

  const pass = (to: Socket, chunk: Buffer) => {
    if (mode === 'open') to.write(chunk)
    else if (mode === 'trickle') {
      const stream = trickling.find((each) => each.to === to)
      if (stream === undefined) trickling.push({ to, bytes: chunk })
      else stream.bytes = Buffer.concat([stream.bytes, chunk])
    } else if (mode === 'reset') {
      if (chunk.length < SHORTEST_FRAME) to.write(chunk)
      else {
        mode = 'cut'
        to.write(chunk.subarray(0, chunk.length / 2), reset)
      }
    }
  }
  for (const [from, to] of [
    [client, upstream],
    [upstream, client]
  ] as const) {
    from.on('data', (chunk: Buffer) => pass(to, chunk))
    from.on('error', () => {}) // `close` follows
    from.on('close', () => {
      if (mode === 'cut') return
      clearInterval(timer)
      to.destroy()
    })
  }
  const link: Link = {
    cut: () => {
      mode = 'cut'
    },
    resetMidFrame: () => {
      mode = 'reset'
    },
    trickle: () => {
      mode = 'trickle'
      timer = setInterval(drip, TRICKLE_MS)
    }
  }
  const destroy = () => {
    clearInterval(timer)
    client.destroy()
    upstream.destroy()
  }
  return { link, mode: () => mode, destroy }
}
