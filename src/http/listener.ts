import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Certificate } from './tls/certificate.ts'

/** How long a connection may rest between two requests, in ms. */
export const KEEP_ALIVE_MS = 5_000

/** An HTTP server, not yet listening; with a certificate it speaks TLS. `requestMs`: slowest a request may arrive. */
export function createDoor(listener: RequestListener, requestMs: number, certificate?: Certificate): Server {
  const times = { requestTimeout: requestMs, headersTimeout: requestMs, keepAliveTimeout: KEEP_ALIVE_MS }
  if (certificate === undefined) return createServer(times, listener)
  const options = { ...times, ...certificate.context, handshakeTimeout: requestMs }
  return createTlsServer(options, listener) as TlsServer & Server
}

/** The certificate of every handshake from now on. For doors that were made with one. */
export function setCertificate(door: Server, { context }: Certificate): void {
  const secured = door as Server & TlsServer
  secured.setSecureContext(context)
}
