import type { ProofVerifier } from '../crypto/verifier.ts'
import type { Database } from '../database/database.ts'
import type { Mailbox } from '../delivery/mailbox.ts'
import type { ReceiptSettings } from '../delivery/receipts.ts'
import type { FailedProofs } from '../identity/failed-proofs.ts'
import type { IdentityCache } from '../identity/identity-cache.ts'
import type { Claims } from '../identity/registration.ts'
import type { CountFrame } from '../observability/metrics/frame-counter.ts'
import type { Member, Presence } from '../presence/registry.ts'
import type { SignalingErrorType } from '../protocol/errors.ts'
import { encodeError } from '../protocol/signaling.ts'
import type { Refusal } from '../session/effect.ts'
import type { Session } from '../session/session.ts'
import type { Turns } from '../util/keyed-mutex.ts'

/** What the signaling handlers work with. */
export interface SignalingContext {
  readonly database: Database
  readonly mailbox: Mailbox
  readonly presence: Presence
  readonly proofs: ProofVerifier
  readonly failedProofs: FailedProofs
  readonly identities: IdentityCache
  readonly claims: Claims
  readonly turns: Turns
  readonly receipts: ReceiptSettings
  readonly countFrame: CountFrame
  readonly quotaPerSender: number
  readonly failedRegistrations: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly log: { info(facts: object, message: string): void; error(facts: object, message: string): void }
}

/** A session that speaks for a peer: handlers that want one cannot be handed a stranger. */
export type RegisteredSession = Session & { readonly member: Member }

export const refuse = (code: SignalingErrorType, details: string): Refusal => ({
  kind: 'refuse',
  frame: encodeError(code, details),
  code
})
