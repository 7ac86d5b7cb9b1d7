import type { Server, Socket } from 'node:net'
import { addressKey } from './address.ts'

/** Connections past the sockets an address may have: so that one that has too many can be told so in HTTP. */
const FOR_ANSWERS = 64
/** Connections past all sockets of the process: for HTTP. */
const FOR_HTTP = 512
/** Open files kept beside connections and those to the database: our own, the log, threads, listeners. */
const OWN_FILES = 128
/** At most so much of what is left for connections where not all of them can be had. */
const SHARE_OF_HTTP = 0.25

export interface Room {
  /** Sockets of the process. */
  readonly sockets: number
  /** Connections beside them. */
  readonly http: number
}

/** As many sockets as are wanted, or as fit where the process may have only so many files open; undefined: any number. */
export function roomFor(wanted: number, maxFiles: number | undefined, databaseConnections: number): Room {
  const left = (maxFiles ?? Number.POSITIVE_INFINITY) - OWN_FILES - databaseConnections
  if (left >= wanted + FOR_HTTP) return { sockets: wanted, http: FOR_HTTP }
  const http = Math.max(1, Math.min(FOR_HTTP, Math.floor(left * SHARE_OF_HTTP)))
  return { sockets: Math.max(1, Math.min(wanted, left - http)), http }
}

export interface ConnectionLimits {
  readonly room: Room
  /** Sockets of one address; undefined: connections come from proxies, and requests say for whom. */
  readonly perAddress: number | undefined
}

/**
 * Limits the connections of all listeners together from their accept on, whatever they speak or whether they say anything:
 * one too many is cut off. So descriptors are left for our own files, and for other addresses.
 */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #refused: () => void
  readonly #ofAddress = new Map<string, number>()
  #open = 0

  constructor(limits: ConnectionLimits, refused: () => void) {
    this.#limits = limits
    this.#refused = refused
  }

  watch(listener: Server): void {
    listener.prependListener('connection', (socket: Socket) => this.#accept(socket))
  }

  #accept(socket: Socket): void {
    const { room, perAddress } = this.#limits
    const key = addressKey(socket.remoteAddress)
    const ofAddress = this.#ofAddress.get(key) ?? 0
    if (this.#open >= room.sockets + room.http || (perAddress !== undefined && ofAddress >= perAddress + FOR_ANSWERS)) {
      this.#refused()
      socket.destroy()
      return
    }
    this.#open += 1
    this.#ofAddress.set(key, ofAddress + 1)
    socket.on('close', () => {
      this.#open -= 1
      const left = this.#ofAddress.get(key)! - 1
      if (left > 0) this.#ofAddress.set(key, left)
      else this.#ofAddress.delete(key)
    })
  }
}
