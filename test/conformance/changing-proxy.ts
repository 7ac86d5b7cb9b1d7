// A proxy that changes what a server says: a server that breaks one rule.
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { atEnd } from '../helpers/at-end.ts'

/** What becomes of a frame on its way to the client: another text, or nothing. */
export type Change = (text: string) => string | undefined

export async function startChangingProxy(t: TestContext, target: string, change: Change): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (client) => {
    const upstream = new WebSocket(target)
    const opened = once(upstream, 'open').catch(() => {}) // the client may go before that
    upstream.on('message', (data) => {
      const changed = change(String(data))
      if (changed !== undefined) client.send(changed)
    })
    client.on('message', async (data, binary) => {
      await opened
      upstream.send(data, { binary })
    })
    upstream.on('close', (code) => client.close(code === 1006 ? 1011 : code))
    client.on('close', () => upstream.close())
    upstream.on('error', () => client.terminate())
    client.on('error', () => upstream.terminate())
  })
  atEnd(t, () => {
    for (const client of server.clients) client.terminate()
    server.close()
  })
  return `ws://127.0.0.1:${(server.address() as { port: number }).port}`
}
