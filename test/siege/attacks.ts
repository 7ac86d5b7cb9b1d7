// What attackers send: each as fast as its socket takes it.
import { quickIdentity, registerFrame } from '../helpers/peer.ts'

/** One attack: how many sockets it opens, from how many addresses of 127.0.0.0/8, and what each does. */
export interface Attack {
  readonly sockets: number
  readonly addresses: number
  /** Do its sockets register first? */
  readonly registers: boolean
  /** Do its sockets read what they are sent? */
  readonly reads: boolean
  /** Bytes that are written again and again, or once where `once` says so; frames of a client are masked with zeros. */
  bytes(n: number): Promise<Buffer> | Buffer
  readonly once?: boolean
}

const OPCODE = { continuation: 0x0, text: 0x1, ping: 0x9, pong: 0xa }
const FINAL = 0x80
/** Bytes of frames that are handed to a socket at once. */
const CHUNK_BYTES = 65_536
/** The name that attackers claim although it is another's. */
export const OWNED_NAME = 'siege-owned'

/** A frame as a client sends it (RFC 6455 §5.2); masked with zeros, so that it can be read. */
export function clientFrame(payload: Buffer, opcode: keyof typeof OPCODE = 'text', isFinal = true): Buffer {
  const { length } = payload
  const head = length < 126 ? Buffer.alloc(2) : length < 65_536 ? Buffer.alloc(4) : Buffer.alloc(10)
  head[0] = (isFinal ? FINAL : 0) | OPCODE[opcode]
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, Buffer.alloc(4), payload])
}

const repeated = (frame: Buffer) =>
  Buffer.concat(Array<Buffer>(Math.max(1, Math.floor(CHUNK_BYTES / frame.length))).fill(frame))
const json = (value: unknown) => clientFrame(Buffer.from(JSON.stringify(value)))
const few = { sockets: 8, addresses: 1, registers: false, reads: true }
const many = { sockets: 200, addresses: 1, registers: false, reads: true }

export const ATTACKS: Readonly<Record<string, Attack>> = {
  'pongs without a ping': { ...few, bytes: () => repeated(clientFrame(Buffer.alloc(0), 'pong')) },
  pings: { ...few, bytes: () => repeated(clientFrame(Buffer.from('x'), 'ping')) },
  'frames of one byte': { ...many, bytes: () => repeated(clientFrame(Buffer.from('1'))) },
  'deep JSON': {
    ...few,
    registers: true,
    bytes: () => clientFrame(Buffer.from(`${'['.repeat(100_000)}${']'.repeat(100_000)}`))
  },
  'register without a proof': {
    ...many,
    bytes: () => repeated(json({ type: 'register', payload: { clientId: 'x', publicKey: [1, 2, 3] } }))
  },
  'claims of a name of another': {
    ...few,
    sockets: 16,
    bytes: async () => repeated(json(await registerFrame(OWNED_NAME, await quickIdentity())))
  },
  'false proofs': {
    ...few,
    sockets: 16,
    bytes: async (n) => {
      const frame = await registerFrame(`siege-false-${n}`, await quickIdentity())
      frame.payload.verification.serializedSignedData = (
        await registerFrame('other', await quickIdentity())
      ).payload.verification.serializedSignedData
      return repeated(json(frame))
    }
  },
  discover: { ...few, registers: true, bytes: () => repeated(json({ type: 'discover', payload: {} })) },
  'discover, unread': {
    ...{ sockets: 100, addresses: 1, registers: true, reads: false },
    bytes: () => repeated(json({ type: 'discover', payload: {} }))
  },
  'messages to nobody': {
    ...few,
    registers: true,
    bytes: () => repeated(json({ type: 'message', payload: { targetId: 'nobody', message: 'x'.repeat(1_000) } }))
  },
  'messages that never end': {
    ...{ sockets: 400, addresses: 4, registers: false, reads: true, once: true },
    bytes: () => clientFrame(Buffer.alloc(900_000, 'x'), 'text', false)
  },
  'pongs from 64 addresses': {
    ...{ sockets: 128, addresses: 64, registers: false, reads: true },
    bytes: () => repeated(clientFrame(Buffer.alloc(0), 'pong'))
  },
  'frames of one byte from 64 addresses': {
    ...{ sockets: 512, addresses: 64, registers: false, reads: true },
    bytes: () => repeated(clientFrame(Buffer.from('1')))
  }
}
