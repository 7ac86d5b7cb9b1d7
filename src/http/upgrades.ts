// Offers to speak another protocol (RFC 9110, 7.8). A server that ignores an offer answers in plain HTTP; once somebody
// listens to `upgrade`, node hands over every request that has one, whatever the protocol is.
import type { IncomingMessage, Server } from 'node:http'
import { Server as TlsServer } from 'node:https'
import type { Duplex } from 'node:stream'

type Handshake = (request: IncomingMessage, socket: Duplex, head: Buffer) => void

/** Hands WebSocket handshakes to `handshake`; whatever else is offered is ignored, and the request served as any other. */
export function acceptHandshakes(listener: Server, handshake: Handshake): void {
  listener.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (request.headers.upgrade?.trim().toLowerCase() === 'websocket') handshake(request, socket, head)
    else serveAgain(listener, request, socket, head)
  })
}

/** The connection begins anew, with the same request but for its offer, and what came behind it. */
function serveAgain(listener: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const value = withoutOffer(rawHeaders[at]!, rawHeaders[at + 1]!)
    if (value !== undefined) lines.push(`${rawHeaders[at]}: ${value}`)
  }
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]))
  listener.emit(listener instanceof TlsServer ? 'secureConnection' : 'connection', socket)
}

function withoutOffer(name: string, value: string): string | undefined {
  if (/^(upgrade|http2-settings)$/i.test(name)) return undefined
  if (!/^connection$/i.test(name)) return value
  const kept = value.split(',').filter((option) => !/^\s*(upgrade|http2-settings)\s*$/i.test(option))
  return kept.length === 0 ? undefined : kept.join(',')
}
