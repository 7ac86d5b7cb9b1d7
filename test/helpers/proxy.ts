import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { type WebSocket, WebSocket as WebSocketClient, WebSocketServer } from 'ws'
import { atEnd } from './at-end.ts'

export interface TcpProxy {
  readonly url: string
  /** Both ends stay open and hear nothing more: a cable that was pulled. */
  freeze(): void
  /** Both ends are reset. */
  reset(): void
}

/**
 * Passes bytes on between a client and the server at `target` (ws://host:port), each way `delayMs` later. What one end does
 * not read is not read from the other.
 */
export async function startTcpProxy(t: TestContext, target: string, delayMs = 0): Promise<TcpProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let frozen = false
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    for (const [from, to] of [
      [client, upstream],
      [upstream, client]
    ] as const) {
      sockets.add(from)
      const later = (pass: () => void) => (delayMs === 0 ? pass() : setTimeout(pass, delayMs))
      const write = (chunk: Buffer) => {
        if (frozen || to.write(chunk)) return
        from.pause()
        to.once('drain', () => from.resume())
      }
      from.on('data', (chunk) => later(() => write(chunk)))
      from.on('close', () => later(() => frozen || to.destroy()))
      from.on('error', () => {})
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = () => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  atEnd(t, close)
  const address = server.address() as { port: number }
  return {
    url: `ws://127.0.0.1:${address.port}`,
    freeze: () => {
      frozen = true
    },
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy()
    }
  }
}

/** A proxy that takes frames apart and answers pings itself, as some gateways do; it passes them on all the same. */
export async function startFrameProxy(t: TestContext, target: string): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (client: WebSocket) => {
    const upstream = new WebSocketClient(target) // autoPong: the false answer
    upstream.on('ping', (data) => client.ping(data))
    client.on('pong', (data) => upstream.pong(data))
    upstream.on('message', (data, binary) => client.send(data, { binary }))
    client.on('message', async (data, binary) => {
      if (upstream.readyState !== upstream.OPEN) await once(upstream, 'open')
      upstream.send(data, { binary })
    })
    upstream.on('close', () => client.terminate())
    client.on('close', () => upstream.terminate())
    upstream.on('error', () => {})
    client.on('error', () => {})
  })
  atEnd(t, () => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}`
}
