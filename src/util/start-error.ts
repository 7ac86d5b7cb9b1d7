/**
 * The server, or a command, cannot start as it is set up. The message is for the operator: what is wrong, and what to
 * change. It is shown without a stack, so it must be enough.
 */
export class StartError extends Error {
  override name = 'StartError'
}
