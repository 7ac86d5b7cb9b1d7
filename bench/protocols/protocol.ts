import type { Stamped } from './stamped.ts'

/** What a frame from the server means to the load generator. */
export type Kind = 'registered' | 'delivery' | 'accepted' | 'queued' | 'refused' | 'other'

export type ProtocolName = 'signaling' | 'l2ps'
export type Algorithm = 'ed25519' | 'ml-dsa'

/** Somebody who can register, as often as it takes. */
export interface BenchPeer {
  readonly name: string
  /** A `register` frame with a genuine proof, fit to be sent now. */
  registerFrame(): Promise<string>
  /** A `history` request with a genuine proof, where the protocol has history. */
  historyFrame?(peerKey: string, before: number | undefined, limit: number): string
}

/** One sender's message to one recipient, ready but for its number. */
export interface MessageTemplate {
  /** The frame to send. */
  readonly frame: Stamped
  /** The sealed body as JSON text: what has to arrive, byte by byte. */
  readonly sealed: Stamped
}

/** What the scenarios need to know of a protocol. Frames are recognised with as little work as possible. */
export interface Protocol {
  readonly name: ProtocolName
  /** Does the sender hear of a message that went to a connected peer? */
  readonly confirmsDelivery: boolean
  /** Peers that were not used before; `prefix` keeps runs apart. */
  newPeers(prefix: string, count: number, algorithm: Algorithm): Promise<BenchPeer[]>
  kindOf(frame: Buffer): Kind
  template(from: BenchPeer, to: BenchPeer, bodyBytes: number): MessageTemplate
}

/** The value of `"type"`, where both protocols and the bare relay have it: first in the frame. */
export function typeOf(frame: Buffer): string {
  const start = 9 // after {"type":"
  return frame.toString('latin1', start, frame.indexOf(34, start))
}
