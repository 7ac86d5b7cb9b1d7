/**
 * What each kind of work costs, in microseconds of this process's time, rounded up: estimates for a core of a small server.
 * `stored` and `answered` are for each kilobyte; `signature` also where a thread of its own checks it.
 */
export const PRICES = {
  connection: 300,
  request: 200,
  frame: 15,
  control: 10,
  received: 8,
  refused: 100,
  signature: 300,
  registration: 500,
  query: 150,
  answered: 20,
  stored: 10
} as const

export type Work = keyof typeof PRICES

/** How much work a second each may ask for, in microseconds; 0: no limit. */
export interface Rates {
  readonly socket: number
  readonly address: number
  readonly identity: number
}

/** A bucket holds what comes in so many seconds: a burst of that is served at once. */
export const BURST_SECONDS = 2

/**
 * What a registered socket may always ask for, whatever its neighbours do, in microseconds (a second, and at once): about 30
 * frames a second. Who asks for no more is served before the others.
 */
export const ASSURED = { perSecond: 1_000, atOnce: 5_000 } as const

/** The same for one that has not registered: one registration. */
export const ASSURED_UNREGISTERED = { perSecond: 50, atOnce: 1_500 } as const
