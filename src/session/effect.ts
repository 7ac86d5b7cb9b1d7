import type { Acceptance, Envelope } from '../delivery/envelope.ts'

/**
 * What a frame leads to: handlers decide it, the session does it. Answers leave in the order in which their frames came,
 * whatever they wait for.
 */
export type Effect =
  | Answer
  | Refusal
  /** Hand an envelope to the mailbox and answer when it is committed. The next frames go on meanwhile. */
  | { readonly kind: 'accept'; readonly envelope: Envelope; readonly answer: (acceptance: Acceptance) => Effect }
  /** Look something up first; the session's next frames wait for it. */
  | { readonly kind: 'wait'; readonly until: Promise<Effect> }

/** Say this, then do what comes after it; undefined: nothing to say. */
export interface Answer {
  readonly kind: 'answer'
  readonly frame: string | undefined
  readonly after?: () => void
}

/** The frame was refused: say why. Counted, so that a flood of bad frames slows only its sender down. */
export interface Refusal {
  readonly kind: 'refuse'
  readonly frame: string
  readonly code: string
  readonly after?: () => void
}

export const silence: Answer = { kind: 'answer', frame: undefined }
export const answer = (frame: string): Answer => ({ kind: 'answer', frame })
