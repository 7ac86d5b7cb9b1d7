import type { PublishedLogs } from '../audit/published.ts'
import type { FairVerifier } from '../crypto/fair-verifier.ts'
import type { Attachments } from '../delivery/attachments.ts'
import type { Mailbox } from '../delivery/mailbox.ts'
import type { Member } from '../delivery/member.ts'
import type { FailedProofs } from '../identity/failed-proofs.ts'
import type { IdentityCache } from '../identity/identity-cache.ts'
import type { Registration } from '../identity/registration.ts'
import type { PeersIn } from '../presence/names.ts'
import type { SignalingErrorType } from '../protocol/errors.ts'
import { encodeError } from '../protocol/signaling.ts'
import type { Answer } from '../session/effect.ts'
import type { Session } from '../session/session.ts'
import type { KeyedMutex } from '../util/keyed-mutex.ts'
import type { Challenges } from './challenges.ts'

/** What the signaling handlers work with. */
export interface SignalingContext {
  readonly mailbox: Pick<Mailbox, 'accept'>
  readonly attachments: Attachments<Member>
  readonly peersIn: PeersIn
  /** Most peers in one answer to discover. */
  readonly discoverPeers: number
  readonly proofs: Pick<FairVerifier, 'verify'>
  readonly failedProofs: FailedProofs
  readonly challenges: Challenges
  readonly identities: Pick<IdentityCache, 'peek' | 'get' | 'renew'>
  /** A peer has another key than before, or its first one. */
  readonly identityChanged: (network: string, peer: string) => void
  readonly recordsOf: PublishedLogs['recordsOf']
  readonly registration: Pick<Registration, 'register' | 'ownerOf' | 'identityOf'>
  /** Registrations and releases of one name, one after the other. */
  readonly nameMutex: KeyedMutex
  /** Counts a received frame by its type; undefined: it could not be told. */
  readonly countFrame: (type: unknown) => void
  readonly quotaPerSender: number
  /** Longest a request waits for the database, in ms. */
  readonly deadlineMs: number
  /** Failed registrations on one socket; the next closes it. */
  readonly failedRegistrations: number
  readonly log: { info(facts: object, message: string): void; error(facts: object, message: string): void }
}

export type SignalingSession = Session<Member>
/** A session that speaks for a peer: handlers that want one cannot be handed a stranger. */
export type RegisteredSession = SignalingSession & { readonly member: Member }

export const refuse = (code: SignalingErrorType, details: string): Answer => ({
  frame: encodeError(code, details),
  refusal: code
})
