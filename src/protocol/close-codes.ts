import { MAX_SOCKET_FRAME_BYTES } from './frame.ts'

/** Why we close a socket. 1xxx: RFC 6455 §7.4.1; 4xxx: ours, from its private range (§7.4.2). `advice` is for clients. */
export const CLOSE = {
  goingAway: { code: 1001, reason: 'Server is shutting down', advice: 'Connect again, after a moment.' },
  policy: {
    code: 1008,
    reason: 'Too many failed registrations',
    advice: 'The proof is wrong: look at what is signed before connecting again.'
  },
  tooMuch: {
    code: 1008,
    reason: 'Too much work asked for',
    advice: 'Connect again after a minute; wait for answers, and send less at a time.'
  },
  tooLarge: {
    code: 1009,
    reason: 'Too large before registration',
    advice: 'Register first; see the limits in docs/protocol.md, 1.2.'
  },
  tooSlow: {
    code: 1008,
    reason: 'A message was not finished in time',
    advice: 'Send each message in one go, or in parts without pauses.'
  },
  cutOff: {
    code: 1012,
    reason: 'This server has lost its database, others have not',
    advice: 'Connect again at once: another server takes over.'
  },
  replaced: {
    code: 4000,
    reason: 'Replaced by a newer connection of the same peer',
    advice: 'Nothing: the newer connection has what is undelivered.'
  },
  unregistered: { code: 4001, reason: 'Not registered in time', advice: 'Register right after connecting.' },
  unresponsive: {
    code: 4002,
    reason: 'No answer to ping',
    advice: 'Connect again; read faster. What was not received is delivered again.'
  },
  noNetwork: {
    code: 4003,
    reason: 'The network is closed to this key',
    advice: 'Ask the operator: the network was disabled or removed, or the key is no member.'
  },
  dismissed: {
    code: 4004,
    reason: 'Closed by an administrator',
    advice: 'Connect again later; what is undelivered waits.'
  }
} as const

export type CloseReason = keyof typeof CLOSE

/** Why the WebSocket library closes a socket, by its code (RFC 6455 §7.4.1): it gives none of its own. */
export const LIBRARY_CLOSE: Readonly<Record<number, string>> = {
  1002: 'This is no WebSocket frame',
  1003: 'Binary frames are not accepted; send JSON as text',
  1007: 'A text frame is not UTF-8',
  1009: `Message too large (max ${MAX_SOCKET_FRAME_BYTES} bytes)`
}
