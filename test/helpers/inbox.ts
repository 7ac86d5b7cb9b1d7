// The socket half of every test peer: connects, remembers what it hears, and waits for what a test expects.
import type { TestContext } from 'node:test'
import { type ClientOptions, WebSocket } from 'ws'
import { within } from './wait.ts'

export const DEADLINE_MS = 5_000

/** A frame as it came; tests look into payloads of every shape. */
// biome-ignore lint/suspicious/noExplicitAny: a test states what it expects by reading it
export type ReceivedFrame = { type: string; payload: any; [field: string]: unknown }

export interface Line {
  /** Everything heard and not yet taken, oldest first. */
  readonly inbox: readonly ReceivedFrame[]
  /** Sends text as a text frame, bytes as a binary frame, unchanged. */
  sendRaw(data: string | Uint8Array): void
  /**
   * Takes the oldest frame, or the oldest of that type (others keep their place). An `error` frame standing before
   * the awaited one fails the wait at once; so does the end of the connection.
   */
  next(type?: string, ms?: number): Promise<ReceivedFrame>
  /** How the connection ended: code 1006 when it was cut. */
  readonly closed: Promise<{ code: number; reason: string }>
  /** Closes with a handshake and waits for its end. */
  close(code?: number, reason?: string): Promise<{ code: number; reason: string }>
  /** Cuts the connection without a close frame. */
  terminate(): void
  readonly ws: WebSocket
}

/** What a peer builds on: a line, and a way to wait for the one frame that `fits`, errors included. */
export interface OpenLine extends Line {
  take(what: string, fits: (frame: ReceivedFrame) => boolean, ms?: number): Promise<ReceivedFrame>
}

/** Connects; the socket is cut after the test. `options` go to `ws`: headers, origin, `autoPong: false`, and so on. */
export async function openLine(
  t: Pick<TestContext, 'after'>,
  url: string,
  options: ClientOptions = {}
): Promise<OpenLine> {
  const ws = new WebSocket(url, { perMessageDeflate: false, ...options })
  t.after(() => ws.terminate())
  const line = lineOn(ws)
  await within(DEADLINE_MS, `no connection to ${url}`, (resolve, reject) => {
    ws.once('open', () => resolve(undefined))
    ws.once('error', reject)
  })
  return line
}

export function excerpt(frame: ReceivedFrame): string {
  const text = JSON.stringify(frame) ?? String(frame)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

export function raise(message: string): never {
  throw new Error(message)
}

function lineOn(ws: WebSocket): OpenLine {
  const inbox = createInbox(ws)
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  return {
    inbox: inbox.frames,
    sendRaw: (data) => ws.send(data),
    next: inbox.next,
    take: inbox.take,
    closed,
    close: (code = 1000, reason = '') => {
      ws.close(code, reason)
      return within(DEADLINE_MS, 'the close handshake did not end', (resolve) => closed.then(resolve))
    },
    terminate: () => ws.terminate(),
    ws
  }
}

function createInbox(ws: WebSocket) {
  const frames: ReceivedFrame[] = []
  let ended: string | undefined
  const waiting = new Set<() => void>()
  const changed = () => {
    for (const look of waiting) look()
  }
  ws.on('message', (data, isBinary) => {
    frames.push(isBinary ? { type: '(binary)', payload: data } : readFrame(data.toString()))
    changed()
  })
  ws.on('error', () => {}) // told by `close`, and by openLine before the connection stands
  ws.once('close', (code, reason) => {
    ended = `the connection was closed (${code} ${reason.toString()})`
    changed()
  })

  /** Waits for the frame at the index that `find` returns; undefined: not there yet. */
  const arrival = async (what: string, find: () => number | undefined, ms: number): Promise<ReceivedFrame> => {
    const deadline = Date.now() + ms
    for (;;) {
      const index = find()
      if (index !== undefined) return frames.splice(index, 1)[0]!
      if (ended) throw new Error(`expected ${what}, but ${ended}; ${heard(frames)}`)
      const complaint = () => `expected ${what} within ${ms} ms; ${heard(frames)}`
      let wake = () => {}
      try {
        await within(deadline - Date.now(), complaint, (resolve) => {
          wake = () => resolve(undefined)
          waiting.add(wake)
        })
      } finally {
        waiting.delete(wake)
      }
    }
  }

  const indexOf = (fits: (frame: ReceivedFrame) => boolean): number | undefined => {
    const index = frames.findIndex(fits)
    return index === -1 ? undefined : index
  }

  const next = (type?: string, ms = DEADLINE_MS): Promise<ReceivedFrame> =>
    arrival(
      type ?? 'a frame',
      () => {
        const index = indexOf((frame) => type === undefined || frame.type === type)
        const refused = indexOf((frame) => frame.type === 'error')
        if (type !== undefined && refused !== undefined && (index === undefined || refused < index)) {
          throw new Error(`expected ${type}, received ${excerpt(frames[refused]!)}`)
        }
        return index
      },
      ms
    )

  const take: OpenLine['take'] = (what, fits, ms = DEADLINE_MS) => arrival(what, () => indexOf(fits), ms)
  return { frames, next, take }
}

function readFrame(text: string): ReceivedFrame {
  try {
    return JSON.parse(text)
  } catch {
    return { type: '(not JSON)', payload: text }
  }
}

const heard = (frames: readonly ReceivedFrame[]) =>
  frames.length === 0 ? 'nothing was received' : `received instead: ${frames.map(excerpt).join(', ')}`
