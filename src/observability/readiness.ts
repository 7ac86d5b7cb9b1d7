/** Undefined when the part is fine, else a reason fit for strangers. The signal says that the deadline has passed. */
export type Check = (signal: AbortSignal) => Promise<string | undefined>

/** The result of checking every part. */
export interface Readiness {
  failing: { part: string; reason: string }[]
  parts: Record<string, 'ok' | 'failing'>
}

export interface ReadinessBoard {
  /** Adds a part that must be fine for the server to be ready. A name is added once. */
  addCheck(part: string, check: Check): void
  /** Adds facts about a part that an operator should see, ready or not. Fit for strangers, and plain JSON. */
  addDetails(part: string, facts: () => object): void
  /** Notes where a listener listens: the port asked for may have been taken. */
  listening(listener: string, url: string): void
  /** From now on the server is not ready, whatever the checks say. */
  stopping(): void
  /** Where each listener listens. */
  listeners(): Readonly<Record<string, string>>
  /** The facts of every part that has some; a part whose function throws is left out. */
  details(): Readonly<Record<string, object>>
  /** Checks all parts at once, each for at most `deadlineMs`. Calls within `sharedMs` share one result. */
  check(): Promise<Readiness>
}

export interface ReadinessLimits {
  deadlineMs: number
  sharedMs: number
  /** Called with what a check, or a part's details, threw; strangers are never told. */
  onThrow?: (part: string, error: unknown) => void
}

/** Whether the server can serve, asked of the parts it consists of. */
export function createReadinessBoard({ deadlineMs, sharedMs, onThrow }: ReadinessLimits): ReadinessBoard {
  const checks = new Map<string, Check>()
  const details = new Map<string, () => object>()
  const listeners: Record<string, string> = {}
  let isStopping = false
  let shared: Promise<Readiness> | undefined

  async function reasonOf(part: string, check: Check): Promise<string | undefined> {
    try {
      return await withDeadline(check, deadlineMs)
    } catch (error) {
      onThrow?.(part, error)
      return 'check failed'
    }
  }

  function factsOf(part: string, facts: () => object): [string, object][] {
    try {
      return [[part, facts()]]
    } catch (error) {
      onThrow?.(part, error)
      return []
    }
  }

  async function checkAll(): Promise<Readiness> {
    const reasons = await Promise.all(
      [...checks].map(async ([part, check]) => [part, await reasonOf(part, check)] as const)
    )
    return {
      failing: reasons.flatMap(([part, reason]) => (reason === undefined ? [] : [{ part, reason }])),
      parts: Object.fromEntries(reasons.map(([part, reason]) => [part, reason === undefined ? 'ok' : 'failing']))
    }
  }

  function sharedCheck(): Promise<Readiness> {
    if (shared) return shared
    shared = checkAll()
    const forget = () => {
      shared = undefined
    }
    shared.then(() => setTimeout(forget, sharedMs).unref())
    return shared
  }

  return {
    addCheck(part, check) {
      shared = undefined // its result lacks this part
      if (checks.has(part)) throw new Error(`Readiness already checks "${part}"`)
      checks.set(part, check)
    },
    addDetails(part, facts) {
      if (details.has(part)) throw new Error(`Readiness already has details of "${part}"`)
      details.set(part, facts)
    },
    listening(listener, url) {
      listeners[listener] = url
    },
    stopping() {
      isStopping = true
    },
    listeners: () => listeners,
    details: () => Object.fromEntries([...details].flatMap(([part, facts]) => factsOf(part, facts))),
    async check() {
      if (isStopping) return { failing: [{ part: 'server', reason: 'stopping' }], parts: { server: 'failing' } }
      return sharedCheck()
    }
  }
}

async function withDeadline(check: Check, deadlineMs: number): Promise<string | undefined> {
  const giveUp = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, deadlineMs, `no answer within ${deadlineMs} ms`)
  })
  try {
    return await Promise.race([check(giveUp.signal), deadline])
  } finally {
    clearTimeout(timer)
    giveUp.abort()
  }
}
