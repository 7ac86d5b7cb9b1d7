import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { StartError } from '../util/start-error.ts'

/** How long a connection may rest between two requests, in ms: longer than balancers keep theirs (60 s), so that none uses one as we close it. */
export const KEEP_ALIVE_MS = 75_000

/** How often connections are looked for that have asked for nothing in time, in ms. */
export const CHECK_MS = 1_000

/** An HTTP server that does not listen yet; with `tls` it speaks TLS. `requestMs`: slowest a request may arrive. */
export function createListener(handler: RequestListener, requestMs: number, tls?: SecureContextOptions): Server {
  const times = {
    requestTimeout: requestMs,
    headersTimeout: requestMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: CHECK_MS
  }
  if (tls === undefined) return createServer(times, handler)
  return createTlsServer({ ...times, ...tls, handshakeTimeout: requestMs }, handler) as TlsServer & Server
}

/** Sets the certificate of every handshake from now on, for a listener that was made with one. */
export function setCertificate(listener: Server, tls: SecureContextOptions): void {
  const secured = listener as Server & TlsServer
  secured.setSecureContext(tls)
}

/** What a listener has to do with, to be closed in bounded time. */
export interface OpenConnections {
  /** Lets requests be answered for at most `ms`, then destroys every connection, whatever state it is in. */
  end(ms: number): Promise<void>
}

/**
 * Follows the connections of a listener from the moment they are accepted. node's own closeIdleConnections() leaves one
 * that has not sent a whole request, and close() waits for it.
 */
export function followConnections(listener: Server): OpenConnections {
  const sockets = new Set<Socket>()
  let requests = 0
  let isAnswered: (() => void) | undefined
  listener.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  listener.on('request', (_request, response) => {
    requests += 1
    response.once('close', () => {
      requests -= 1
      if (requests === 0) isAnswered?.()
    })
  })
  return {
    async end(ms) {
      const answered = new Promise<void>((resolve) => {
        isAnswered = resolve
        setTimeout(resolve, ms).unref()
      })
      if (requests > 0) await answered
      for (const socket of sockets) socket.destroy()
    }
  }
}

/** Listens on one port; rejects with the system's error when the port cannot be had. */
export type Listen = (port: number) => Promise<unknown>

/** The server cannot listen as configured. The message tells an operator what to change. */
export class ListenError extends StartError {
  override name = 'ListenError'
}

const LAST_PORT = 65_535

/**
 * Listens on `port` or, while ports are taken, on one of the `tries - 1` ports after it; port 0 asks the system for any
 * free one, once. Resolves to the port that was passed to `listen`. Rejects with a ListenError on anything but a taken port.
 */
export async function listenOnNextFreePort(listen: Listen, port: number, tries = 100, host?: string): Promise<number> {
  const last = port === 0 ? 0 : Math.min(port + tries - 1, LAST_PORT)
  for (let candidate = port; candidate <= last; candidate++) {
    try {
      await listen(candidate)
      return candidate
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') throw cannotListen(candidate, host, error)
    }
  }
  const taken =
    port === 0
      ? 'no port is free'
      : last === port
        ? `port ${port} is taken. Stop what has it, choose another port, or unset STRICT_PORTS`
        : `every port from ${port} to ${last} is taken`
  throw new ListenError(`Cannot listen${on(host)}: ${taken}.`)
}

/** What each refusal means to the person who set the address. */
const REMEDIES: Record<string, string> = {
  EACCES: 'not permitted. Ports below 1024 need special rights; choose a higher one.',
  EADDRNOTAVAIL: 'this machine has no such address. Check HOST.',
  EAFNOSUPPORT: 'this machine does not support addresses of that family. Check HOST.',
  EINVAL: 'that is not an address to listen on. Check HOST.',
  ENOTFOUND: 'that name has no address. Check HOST.',
  EAI_AGAIN: 'that name could not be looked up. Check HOST.'
}

function cannotListen(port: number, host: string | undefined, cause: unknown): ListenError {
  const code = codeOf(cause)
  const reason = REMEDIES[code] ?? (cause instanceof Error ? cause.message : String(cause))
  return new ListenError(`Cannot listen${on(host)}, port ${port}: ${reason}${code ? ` (${code})` : ''}`, { cause })
}

const on = (host: string | undefined): string => (host ? ` on ${host}` : '')

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? ''
