import type { ProofVerifier } from '../crypto/verifier.ts'
import type { Database } from '../database/database.ts'
import type { GroupFailure } from '../database/group-commit.ts'
import type { Mailbox } from '../delivery/mailbox.ts'
import type { ReceiptSettings } from '../delivery/receipts.ts'
import type { FailedProofs } from '../identity/failed-proofs.ts'
import type { NetworkRegistry } from '../networks/registry.ts'
import type { CountFrame } from '../observability/metrics/frame-counter.ts'
import type { Member, Presence } from '../presence/registry.ts'
import type { L2psErrorCode } from '../protocol/errors.ts'
import { encodeError, encodeReply } from '../protocol/l2ps.ts'
import { type Answer, answer, type Refusal } from '../session/effect.ts'
import type { Session } from '../session/session.ts'
import type { KeyEntry } from '../store/identity.ts'
import type { KeyNames } from './key-names.ts'
import type { PeerKey } from './keys.ts'

/** What the L2PS handlers work with. */
export interface L2psContext {
  readonly database: Database
  readonly mailbox: Mailbox
  readonly presence: Presence
  readonly proofs: ProofVerifier
  readonly failedProofs: FailedProofs
  readonly networks: NetworkRegistry
  readonly names: KeyNames
  /** Notes a key that enters its network, and its proof; see `enterKeys`. */
  readonly enter: (entry: KeyEntry) => Promise<boolean | GroupFailure>
  readonly receipts: ReceiptSettings
  readonly countFrame: CountFrame
  /** How far the timestamp of a proof may be from `now`, either way, in ms. */
  readonly proofWindowMs: number
  readonly failedRegistrations: number
  /** ms since 1970. */
  readonly now: () => number
  readonly log: { info(facts: object, message: string): void; error(facts: object, message: string): void }
}

/** A member of a network, with the key it registered. */
export interface L2psMember extends Member {
  readonly key: PeerKey
  /** The key as its owner spelled it. */
  readonly spelling: string
}

/** A session that speaks for a key: handlers that want one cannot be handed a stranger. */
export type RegisteredSession = Session & { readonly member: L2psMember }

/** A client's frame apart from its payload. */
export interface Request {
  /** As it is to be echoed; undefined when the client sent none, or none that can be echoed. */
  readonly requestId: string | undefined
  /** The client's clock, as sent. */
  readonly timestamp: unknown
}

/** Says no to a request, in words for whoever sent it. */
export const refuse = (context: L2psContext, code: L2psErrorCode, message: string, request?: Request): Refusal => ({
  kind: 'refuse',
  frame: encodeError(code, message, context.now(), request?.requestId),
  code
})

export const reply = (context: L2psContext, request: Request, type: string, payload: object): Answer =>
  answer(encodeReply(type, payload, context.now(), request.requestId))

/** Our own failure: the cause goes to the log, the peer is told to try again. */
export const failed = (context: L2psContext, request: Request, what: string) => (error: unknown) => {
  context.log.error({ err: error }, what)
  return refuse(context, 'INTERNAL_ERROR', 'The server cannot do this now. Please try again.', request)
}
