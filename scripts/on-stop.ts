/**
 * Has `end` undo what this program started when somebody stops it: by a signal, or by no longer reading what it prints (`| head`).
 * Then it exits with 130.
 */
export function onStop(end: () => Promise<unknown>): void {
  const stop = () => void end().finally(() => process.exit(130))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
  for (const stream of [process.stdout, process.stderr]) stream.on('error', stop)
}
