/** Handlers by command: what a child process of the benchmark can be asked to do. */
// biome-ignore lint/suspicious/noExplicitAny: each handler names what it takes; both ends are in this directory
export type Handlers = Record<string, (request: any) => Promise<unknown>>

/** Answers what the parent asks over IPC, and ends with it: at once, or after `cleanUp`. */
export function answerParent(handlers: Handlers, cleanUp: () => Promise<void> = async () => {}): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {}) // may reach the whole group: the parent decides
  process.stderr.on('error', () => {}) // nobody reads it any more, as the parent hears, too
  process.on('disconnect', () => {
    setTimeout(() => process.exit(1), 20_000).unref()
    cleanUp().finally(() => process.exit(0))
  })
  process.on('message', async ({ id, command, request }: { id: number; command: string; request: unknown }) => {
    try {
      const handler = handlers[command]
      if (handler === undefined) throw new Error(`unknown command ${command}`)
      process.send?.({ id, result: await handler(request) })
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
}

/** The two ends of a measured stretch, as the load generator sees them. */
export interface Moment {
  readonly moment: 'begin' | 'end'
  /** CPU time this process has used, in ms. */
  readonly cpuMs: number
  /** On this process's own clock, in ms. */
  readonly at: number
}

/** Tells the parent that a measured stretch begins or ends, so that it reads the clocks of the other processes. */
export function mark(moment: 'begin' | 'end'): void {
  const { user, system } = process.cpuUsage()
  const message: Moment = { moment, cpuMs: (user + system) / 1_000, at: performance.now() }
  process.send?.(message)
}
