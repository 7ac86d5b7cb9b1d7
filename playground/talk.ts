// A conversation of two, whichever protocol carries it: contents in, sealed messages out.
import type { Content } from './content.ts'
import type { Invitation } from './invitation.ts'

/** What a relay gets to see of one message. */
export interface Seen {
  readonly from: string
  readonly to: string
  /** The sealed body as it is on the wire. */
  readonly sealed: string
  /** L2PS: the name of the message. */
  readonly messageHash?: string
  /** Signaling: SHA-256 of the sealed body. */
  readonly digest?: string
}

export interface Sent extends Seen {
  /** The peer was connected, or the relay keeps the message until it is. */
  readonly status: 'sent' | 'queued'
}

export interface TalkEvents {
  /** Resolves when the message was handled: then it counts as received. */
  content(content: Content, seen: Seen): Promise<void>
  /** The peer is known now: it has said hello. */
  met(name: string): void
  status(sentence: string): void
  problem(sentence: string): void
}

export interface Talk {
  /** What the relay calls us. */
  readonly me: string
  readonly via: 'signaling' | 'l2ps'
  /** Whom we talk to; undefined until somebody has come by our invitation. */
  readonly peer: string | undefined
  /** Seals and sends; resolves when the relay has stored it. */
  send(content: Content): Promise<Sent>
  /** For others to come. */
  invitation(): Promise<Invitation>
  /** What the relay has signed about a message, as a sentence. Rejects when that is not so. */
  verify(seen: Seen): Promise<string>
}

/** The address of a path of this server, by the page's own. */
export const here = (path: string): string => new URL(`../${path}`, location.href.replace(/#.*/, '')).href
export const socketHere = (path: string): string => here(path).replace(/^http/, 'ws')

/** What both clients tell of their connection. */
export function watchConnection(
  on: (type: 'disconnected' | 'connected', handler: () => void) => void,
  events: TalkEvents
): void {
  on('disconnected', () => events.status('Connection lost, trying again'))
  on('connected', () => events.status('Connected'))
}

/** Whom we talked with in this tab, so that a reload goes on. */
export const rememberedPeer = (me: string): string | undefined => sessionStorage.getItem(`peer of ${me}`) ?? undefined
export const rememberPeer = (me: string, peer: string): void => sessionStorage.setItem(`peer of ${me}`, peer)
