// Files: by the direct connection while there is one, else through the relay in sealed pieces.
import { type Bytes, fromBase64, toBase64, toHex } from '../client/src/index.ts'
import type { Content } from './content.ts'
import type { Direct } from './direct.ts'

/** Largest file, in bytes: it is kept in memory. */
export const MAX_FILE_BYTES = 100_000_000
const DIRECT_PIECE = 65_536
/** Sealed and in base64 twice, it fits a message of both protocols. */
const RELAY_PIECE = 60_000

export interface ReceivedFile {
  readonly name: string
  readonly blob: Blob
  /** In hex. */
  readonly sha256: string
  readonly way: Way
}

export type Way = 'directly' | 'through the relay'

type Start = Extract<Content, { kind: 'file' }>

/** Sends a file; `progress` hears the share that is sent. A connection that is lost on the way: all of it by the relay. */
export async function sendFile(
  file: File,
  direct: Direct | undefined,
  send: (content: Content) => Promise<unknown>,
  progress: (share: number) => void
): Promise<Way> {
  if (file.size > MAX_FILE_BYTES) throw new Error(`A file here has ${MAX_FILE_BYTES / 1e6} MB at most.`)
  const bytes = new Uint8Array(await file.arrayBuffer())
  const start: Start = { kind: 'file', id: crypto.randomUUID(), name: file.name, size: bytes.length }
  if (direct?.state === 'open') {
    try {
      await direct.send(JSON.stringify(start))
      await inPieces(bytes, DIRECT_PIECE, (piece) => direct.send(piece), progress)
      return 'directly'
    } catch {
      progress(0) // the relay is left
    }
  }
  await send(start)
  const sendPiece = (piece: Bytes) => send({ kind: 'chunk', id: start.id, base64: toBase64(piece) })
  await inPieces(bytes, RELAY_PIECE, sendPiece, progress)
  return 'through the relay'
}

async function inPieces(
  bytes: Bytes,
  length: number,
  send: (piece: Bytes) => Promise<unknown>,
  progress: (share: number) => void
): Promise<void> {
  for (let at = 0; at < bytes.length; at += length) {
    await send(bytes.subarray(at, at + length))
    progress(Math.min(1, (at + length) / bytes.length))
  }
}

/** Puts one file after the other together. A new start takes the place of a file that did not come to its end. */
export class Incoming {
  readonly #received: (file: ReceivedFile) => void
  #start: Start | undefined
  #way: Way = 'directly'
  #pieces: Bytes[] = []
  #length = 0

  constructor(received: (file: ReceivedFile) => void) {
    this.#received = received
  }

  async start(start: Start, way: Way): Promise<void> {
    const { name, size } = start
    const isFile = typeof name === 'string' && Number.isInteger(size) && size >= 0 && size <= MAX_FILE_BYTES
    this.#start = isFile ? start : undefined
    this.#way = way
    this.#pieces = []
    this.#length = 0
    if (size === 0) await this.#end()
  }

  chunk({ id, base64 }: Extract<Content, { kind: 'chunk' }>): Promise<void> {
    return id === this.#start?.id ? this.piece(fromBase64(base64)) : Promise.resolve()
  }

  async piece(bytes: Bytes): Promise<void> {
    if (this.#start === undefined || this.#length + bytes.length > this.#start.size) return
    this.#pieces.push(bytes)
    this.#length += bytes.length
    if (this.#length === this.#start.size) await this.#end()
  }

  async #end(): Promise<void> {
    if (this.#start === undefined) return
    const { name } = this.#start
    const blob = new Blob(this.#pieces)
    this.#start = undefined
    this.#pieces = []
    const sha256 = toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer())))
    this.#received({ name, blob, sha256, way: this.#way })
  }
}
