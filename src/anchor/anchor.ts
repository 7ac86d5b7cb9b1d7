// A place outside the log where its signed checkpoints are fixed, so that the node cannot take them back.

/** A signed checkpoint of one network's log. */
export interface AnchoredCheckpoint {
  readonly network: string
  /** The log's name, first line of the note. */
  readonly origin: string
  /** Records in the tree. */
  readonly size: number
  /** RFC 6962 root, 64 hex digits. */
  readonly rootHash: string
  /** The whole signed note. */
  readonly note: string
}

export interface Anchor {
  readonly name: string
  /**
   * Fixes a checkpoint and returns where it can be found. Idempotent by checkpoint: it is called again after a failure,
   * a restart or a crash, and must then find what it did before. Throws when it could not, and is asked again: after
   * `retryAfterMs` of the error when that is a number, else after a growing pause.
   */
  anchor(checkpoint: AnchoredCheckpoint): Promise<{ reference: string }>
}
