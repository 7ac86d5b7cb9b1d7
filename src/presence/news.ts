import type { CloseReason } from '../protocol/close-codes.ts'
import { encodeTextFrames } from '../session/text-frames.ts'

/** A peer that came or left. */
export interface Announced {
  readonly network: string
  readonly peer: string
  /** The frame that tells the others in its network that it joined or left; undefined: they are not told. */
  announcement(change: 'joined' | 'left'): string | undefined
}

/** A registered session, as presence needs it: one of those of a peer. */
export interface Present extends Announced {
  readonly session: { notify(frames: Buffer): void; close(reason: CloseReason): void }
  /** Where in the order of changes it was last given a whole list of peers, see `Announcer`. */
  listedAt: number
  /** Was it given a part of the list since? */
  hasPart: boolean
}

/** What happened to one peer since the last announcement. */
export interface Change {
  /** Was it connected before the first of them? */
  readonly wasConnected: boolean
  /** When it came or left, one after the other: points of the order of changes. */
  readonly changedAt: number[]
  readonly peer: Announced
}

/** A change, and the encoded frames that tell of it; undefined: nobody is told. */
export interface News {
  readonly change: Change
  readonly joined: Buffer | undefined
  readonly left: Buffer | undefined
}

/** Is the peer connected, after all of its changes? */
export const isNow = ({ wasConnected, changedAt }: Pick<Change, 'wasConnected' | 'changedAt'>) =>
  wasConnected !== (changedAt.length % 2 === 1)

/** Makes the frames, each once, whoever is told. */
export function newsOf(change: Change): News {
  const [joined, left] = [change.peer.announcement('joined'), change.peer.announcement('left')]
  return {
    change,
    joined: joined === undefined ? undefined : encodeTextFrames([joined]),
    left: left === undefined ? undefined : encodeTextFrames([left])
  }
}

/** The frames for sessions whose lists are older than every change. */
export const sharedFrames = (news: readonly News[], hasPart: boolean): Buffer =>
  Buffer.concat(news.flatMap((each) => frameFor(each, 0, hasPart) ?? []))

/**
 * What a session whose list was made at `listedAt` has to be told of a peer: its list, against how it is now. After a
 * part of a list, how it is now.
 */
export function frameFor({ change, joined, left }: News, listedAt: number, hasPart: boolean): Buffer | undefined {
  const { wasConnected, changedAt } = change
  const isConnected = isNow(change)
  // Where joining is not announced, clients keep no list: all sessions that were there before are told who left.
  if (joined === undefined) return !isConnected && changedAt.at(-1)! > listedAt ? left : undefined
  const now = isConnected ? joined : left
  const after = changedAt.findIndex((at) => at > listedAt)
  if (hasPart) return after === -1 ? undefined : now
  const seen = after === -1 ? changedAt.length : after
  const listed = wasConnected !== (seen % 2 === 1)
  return listed === isConnected ? undefined : now
}
