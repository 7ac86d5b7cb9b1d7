/**
 * What each kind of work costs, in microseconds of this process's time, rounded up: estimates for a core of a small server.
 * `rendering` is one of all metrics. `stored`, `answered` and `history` are for each kilobyte; `signature` also where a thread of its own checks it.
 */
export const PRICES = {
  connection: 300,
  request: 200,
  rendering: 3_000,
  frame: 15,
  control: 10,
  received: 8,
  refused: 100,
  signature: 300,
  registration: 500,
  query: 150,
  answered: 20,
  history: 40,
  stored: 10
} as const

export type Work = keyof typeof PRICES

/** How much work a second each may ask for, in microseconds; 0: no limit. */
export interface Rates {
  readonly socket: number
  readonly address: number
  readonly identity: number
  /** All registered sockets of a network together. */
  readonly network: number
}

/** A bucket holds what comes in so many seconds: a burst of that is served at once. */
export const BURST_SECONDS = 2

/**
 * What a registered socket may always ask for, whatever its neighbours do, in microseconds (a second, at once, and just after it
 * has registered: a flood of newcomers is no crowd of quiet ones): about 30 frames a second. Who asks for no more is served before the others.
 */
export const ASSURED = { perSecond: 1_000, atOnce: 5_000, atFirst: 300 } as const

/** The same for one that has not registered: one registration. */
export const ASSURED_UNREGISTERED = { perSecond: 50, atOnce: 1_500 } as const

/** What the requests of an address over HTTP may always ask for: some ten small ones a second. Those within it are read first. */
export const ASSURED_REQUESTS = { perSecond: 2_000, atOnce: 8_000 } as const

/** What all readings of the metrics together may ask for; above it, whoever asks gets the last one again. */
export const RENDERINGS = { perSecond: 100_000, atOnce: 300_000 } as const
