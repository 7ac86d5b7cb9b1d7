/** Why we close a socket. 1xxx: RFC 6455 §7.4.1; 4xxx: ours, from its private range (§7.4.2). */
export const CLOSE = {
  goingAway: { code: 1001, reason: 'Server is shutting down' },
  policy: { code: 1008, reason: 'Too many failed registrations' },
  replaced: { code: 4000, reason: 'Replaced by a newer connection of the same peer' },
  unregistered: { code: 4001, reason: 'Not registered in time' },
  noNetwork: { code: 4003, reason: 'The network is closed to this key' },
  unresponsive: { code: 4002, reason: 'No answer to ping' }
} as const

export type CloseReason = keyof typeof CLOSE
