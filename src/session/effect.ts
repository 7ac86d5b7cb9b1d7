/**
 * What a frame leads to: handlers decide it, the session carries it out. Answers leave in the order in which their frames
 * came, whatever they wait for.
 */
export type Effect = Answer | Later | Promise<Answer | Later>

export interface Answer {
  /** The text to send, or its frame in pieces (`encodeTextFrame`); undefined: nothing is said. */
  readonly frame: string | readonly Buffer[] | undefined
  /** The error code when the frame refuses the request. Counted, so that a flood of bad frames slows only its sender down. */
  readonly refusal?: string
  /** The request is refused for a reason of ours: it is not held against its sender. */
  readonly isOurFault?: true
  /** It is about a frame whose sender does not wait for an answer: an old client is told when it is quiet. */
  readonly isNotification?: boolean
  /** The client's next frame follows from this answer: an old client is told nothing before it comes. */
  readonly isFollowed?: boolean
  /** What follows once it is written. */
  readonly after?: () => void
}

/** Answered when `begin` says so, once; the session's next frames are handled meanwhile. A promise: they wait for it. */
export interface Later {
  begin(done: (answer: Answer) => void): void
}

export const silence: Answer = { frame: undefined }
export const answer = (frame: string | readonly Buffer[]): Answer => ({ frame })
export const later = (begin: Later['begin']): Later => ({ begin })
