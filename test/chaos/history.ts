/**
 * What became of an attempt, as its sender heard it. `refused`: certainly not stored. `unknown`: no answer, or one that
 * leaves it open. `absurd`: an answer that this attempt cannot have.
 */
export type Outcome = 'acknowledged' | 'refused' | 'unknown' | 'absurd'

/** One thing that happened at a client. `at`: ms since 1970. Events of one peer are in the order they happened. */
export type PeerEvent =
  | { readonly kind: 'attempt'; readonly at: number; readonly id: string; readonly from: string; readonly to: string }
  | {
      readonly kind: 'answer'
      readonly at: number
      readonly id: string
      readonly outcome: Outcome
      readonly words?: string | undefined
    }
  /** An attempt on a connection that lives was not answered in time. */
  | { readonly kind: 'silence'; readonly at: number; readonly id: string }
  | {
      readonly kind: 'delivery'
      readonly at: number
      readonly id: string
      readonly from: string
      readonly to: string
      /** Counts the recipient's sessions. */
      readonly session: number
    }
  /** A peer went away on purpose: what it was sent last may come again. */
  | { readonly kind: 'left'; readonly at: number; readonly peer: string }

/** A stretch of time in which something was broken. */
export interface Fault {
  readonly name: string
  readonly from: number
  readonly to: number
  /** Could nothing be committed in all this time? An acknowledgement then is a lie. */
  readonly stopsCommits: boolean
  /** Can it undo receipts, so that what was delivered comes again? */
  readonly undoesReceipts: boolean
}

export interface History {
  readonly events: readonly PeerEvent[]
  readonly faults: readonly Fault[]
}
