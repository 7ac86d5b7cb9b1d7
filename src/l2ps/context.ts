import type { FairVerifier } from '../crypto/fair-verifier.ts'
import type { Database } from '../database/database.ts'
import type { Attachments } from '../delivery/attachments.ts'
import type { Mailbox } from '../delivery/mailbox.ts'
import type { Member } from '../delivery/member.ts'
import type { FailedProofs } from '../identity/failed-proofs.ts'
import type { NetworkRegistry } from '../networks/registry.ts'
import type { PeersIn } from '../presence/names.ts'
import type { L2psErrorCode } from '../protocol/errors.ts'
import { encodeError, encodeReply } from '../protocol/l2ps.ts'
import { type Answer, answer } from '../session/effect.ts'
import type { Session } from '../session/session.ts'
import type { KeyEntry } from '../store/identity.ts'
import type { BatchFailure } from '../util/batcher.ts'
import type { FairQueue } from '../util/fair-queue.ts'
import type { KeyNames } from './key-names.ts'
import type { L2psMember } from './l2ps-member.ts'
import type { ShownProofs } from './shown-proofs.ts'

/** What the L2PS handlers work with. */
export interface L2psContext {
  readonly database: Pick<Database, 'sql' | 'ask' | 'deadlineMs'>
  readonly mailbox: Pick<Mailbox, 'accept'>
  readonly attachments: Attachments<Member>
  readonly peersIn: PeersIn
  /** Most peers in one answer to discover. */
  readonly discoverPeers: number
  readonly proofs: Pick<FairVerifier, 'verify'>
  readonly failedProofs: FailedProofs
  readonly shownProofs: ShownProofs
  /** Reads pages of history, a few at a time; addresses take turns. */
  readonly historyQueue: FairQueue
  readonly networks: Pick<NetworkRegistry, 'lookUp' | 'find'>
  readonly names: KeyNames
  /** Notes a key that enters its network, and its proof; see `enterKeys`. */
  readonly enter: (entry: KeyEntry) => Promise<boolean | BatchFailure>
  /** Counts a received frame by its type; undefined: it could not be told. */
  readonly countFrame: (type: unknown) => void
  /** How far the timestamp of a proof may be from `now`, either way, in ms. */
  readonly proofWindowMs: number
  /** Failed registrations on one socket; the next closes it. */
  readonly failedRegistrations: number
  /** ms since 1970. */
  readonly now: () => number
  readonly log: { error(facts: object, message: string): void }
}

export type L2psSession = Session<L2psMember>
/** A session that speaks for a key: handlers that want one cannot be handed a stranger. */
export type RegisteredSession = L2psSession & { readonly member: L2psMember }

/** A client's frame apart from its payload. */
export interface Request {
  /** As it is to be echoed; undefined when the client sent none, or none that can be echoed. */
  readonly requestId: string | undefined
  /** The client's clock, as sent. */
  readonly timestamp: unknown
  /** The frame as it came. */
  readonly text: string
}

/** Says no to a request, in words for its sender. */
export const refuse = (
  context: Pick<L2psContext, 'now'>,
  code: L2psErrorCode,
  message: string,
  request?: Pick<Request, 'requestId'>
): Answer => ({ frame: encodeError(code, message, context.now(), request?.requestId), refusal: code })

export const reply = (context: Pick<L2psContext, 'now'>, request: Request, type: string, payload: object): Answer =>
  answer(encodeReply(type, payload, context.now(), request.requestId))

/** Our own failure: the cause goes to the log, the peer is told to try again. */
export const failed =
  (context: Pick<L2psContext, 'now' | 'log'>, request: Request, what: string) =>
  (error: unknown): Answer => {
    context.log.error({ err: error }, what)
    return refuse(context, 'INTERNAL_ERROR', 'The server cannot do this now. Please try again.', request)
  }
