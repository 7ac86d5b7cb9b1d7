// What an attack is made of: sockets, and the bytes that each of them sends.
import { createSigner, type Identity } from '../../client/src/identity.ts'
import { registerFrame as l2psRegisterFrame } from '../helpers/l2ps-peer.ts'
import { registerFrame } from '../helpers/peer.ts'

/** The L2PS network that attackers and a pair are in. */
export const SIEGE_NETWORK = 'siege'

/** One attack: how many sockets it opens, from how many addresses of 127.0.0.0/8, and what each does. */
export interface Attack {
  readonly sockets: number
  readonly addresses: number
  /** `tcp`: connections that say what they like, no WebSockets. */
  readonly protocol: 'signaling' | 'l2ps' | 'tcp'
  /** Do its sockets register first? */
  readonly registers: boolean
  /** Do its sockets read what they are sent? */
  readonly reads: boolean
  /** Do they leave as soon as they are connected, and registered where they register? */
  readonly leaves?: boolean
  /** Sent once, before the rest. */
  first?(attacker: Attacker): Promise<Buffer> | Buffer
  /** What is written again and again, or once where `once` says so; frames of a client are masked with zeros. */
  bytes(attacker: Attacker): Promise<Buffer> | Buffer
  readonly once?: boolean
  /** Are the bytes made anew for each write? */
  readonly isFresh?: boolean
  /** The answer to its frames, or the code of the error, where nobody slows it down; undefined: none. */
  readonly meets?: string
}

/** One socket of an attack. */
export interface Attacker {
  /** Counts the sockets of the attack; one that comes back has the number that it had. */
  readonly n: number
  /** A name that no other has. */
  readonly id: string
  /** The same for the same `n`. */
  readonly identity: Identity
  /** Of the server, as ws://host:port. */
  readonly origin: string
}

const OPCODE = { continuation: 0x0, text: 0x1, ping: 0x9, pong: 0xa }
const FINAL = 0x80
/** Bytes of frames that are handed to a socket at once. */
const CHUNK_BYTES = 65_536

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

export const repeated = (frame: Buffer): Buffer =>
  Buffer.concat(Array<Buffer>(Math.max(1, Math.floor(CHUNK_BYTES / frame.length))).fill(frame))

export const json = (value: object): Buffer => clientFrame(Buffer.from(JSON.stringify(value)))

let requests = 0
/** An L2PS frame with a request of its own, and the time unless it brings one. */
export const l2psJson = (frame: object): Buffer =>
  json({ timestamp: Date.now(), requestId: `siege-${++requests}`, ...frame })

/** So many frames, each made by `make`. */
export const several = async (count: number, make: () => Promise<Buffer> | Buffer): Promise<Buffer> =>
  Buffer.concat(await Promise.all(Array.from({ length: count }, make)))

/** A public key that nobody has. */
export const strangerKey = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')

/** The keys of a socket of this process: cheap to make, and known to its neighbours. */
export async function identityOf(n: number): Promise<Identity> {
  const seed = Buffer.alloc(32)
  seed.writeUInt32BE(process.pid)
  seed.writeUInt32BE(n, 4)
  const signer = await createSigner('ed25519', seed)
  return { ...signer, publicKey: crypto.getRandomValues(new Uint8Array(36)), secretKey: new Uint8Array() }
}

/** What this socket registers with. */
export const registrationOf = ({ protocol }: Attack, { id, identity }: Attacker): Promise<object> =>
  protocol === 'l2ps' ? l2psRegisterFrame(identity, SIEGE_NETWORK) : registerFrame(id, identity)
