/** What a code of the wire means, for the documentation and for whoever picks one. */
export interface ErrorSpec {
  /** Is the same request worth another try: never, or later as it is? */
  readonly retry: 'never' | 'later'
  readonly meaning: string
}

/** The error types of the signaling protocol: those of ImErrorType, and of challenges, which old clients do not meet. */
export const SIGNALING_ERRORS = {
  INVALID_MESSAGE: { retry: 'never', meaning: 'Not JSON, or not the shape this frame type has.' },
  CLIENT_ID_TAKEN: {
    retry: 'never',
    meaning: 'The client id belongs to another signing key, or is connected already.'
  },
  PEER_NOT_FOUND: { retry: 'never', meaning: 'No such client id was ever registered here.' },
  INVALID_PUBLIC_KEY: { retry: 'never', meaning: 'publicKey is not an array of 1 to 4096 byte values.' },
  REGISTRATION_REQUIRED: { retry: 'never', meaning: 'This request needs a registered socket.' },
  INTERNAL_ERROR: {
    retry: 'later',
    meaning: 'A limit was reached or the server could not do it now; details says which.'
  },
  INVALID_PROOF: { retry: 'never', meaning: 'The proof does not show that the signing key stands behind publicKey.' },
  CHALLENGE_REQUIRED: {
    retry: 'never',
    meaning: 'The client id was registered with a challenge once, and is with one only.'
  },
  CHALLENGE_EXPIRED: {
    retry: 'never',
    meaning: 'This socket has no challenge to answer: none was asked for, it was used, or it is too old. Ask for one.'
  }
} as const satisfies Record<string, ErrorSpec>

export type SignalingErrorType = keyof typeof SIGNALING_ERRORS

/** The error codes of the L2PS protocol, all of them. */
export const L2PS_ERRORS = {
  INVALID_MESSAGE: { retry: 'never', meaning: 'Not JSON, or not the shape this frame type has.' },
  REGISTRATION_REQUIRED: { retry: 'never', meaning: 'This request needs a registered socket.' },
  INVALID_PROOF: {
    retry: 'never',
    meaning: 'The signature is wrong, too old or too new, or was used on another socket.'
  },
  PEER_NOT_FOUND: { retry: 'never', meaning: 'Reserved: a key that is not known here is answered with null.' },
  L2PS_NOT_FOUND: { retry: 'never', meaning: 'No such network, or it is disabled, or the key is not a member.' },
  L2PS_SUBMIT_FAILED: {
    retry: 'never',
    meaning: 'Another message was sent under this messageHash, or this one was given up since.'
  },
  RATE_LIMITED: {
    retry: 'later',
    meaning: 'Too many messages are waiting, of this sender or for this recipient, or it has stored too much today.'
  },
  INTERNAL_ERROR: {
    retry: 'later',
    meaning: 'The server could not do it now. The cause is in its log, never on the wire.'
  }
} as const satisfies Record<string, ErrorSpec>

export type L2psErrorCode = keyof typeof L2PS_ERRORS
