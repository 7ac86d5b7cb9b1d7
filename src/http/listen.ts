/** Opens a door on one port; rejects with the system's error when the port cannot be had. */
export type Listen = (port: number) => Promise<unknown>

/** A door that could not be opened. The message tells an operator what to change. */
export class DoorError extends Error {
  override name = 'DoorError'
}

const LAST_PORT = 65_535

/**
 * Opens a door on `port` or, while ports are taken, on one of the `tries - 1` ports after it. Port 0 asks the system
 * for any free one, once. Gives the port that was asked for. Fails with a DoorError on anything but a taken port.
 */
export async function listenOnNextFreePort(listen: Listen, port: number, tries = 100, host?: string): Promise<number> {
  const last = port === 0 ? 0 : Math.min(port + tries - 1, LAST_PORT)
  for (let candidate = port; candidate <= last; candidate++) {
    try {
      await listen(candidate)
      return candidate
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE') throw cannotListen(candidate, host, error)
    }
  }
  const taken = port === 0 ? 'no port is free' : `every port from ${port} to ${last} is taken`
  throw new DoorError(`Cannot listen${on(host)}: ${taken}.`)
}

/** What each refusal means to the person who set the address. */
const REMEDIES: Record<string, string> = {
  EACCES: 'not permitted. Ports below 1024 need special rights; choose a higher one.',
  EADDRNOTAVAIL: 'this machine has no such address. Check HOST.',
  EAFNOSUPPORT: 'this machine does not support addresses of that family. Check HOST.',
  EINVAL: 'that is not an address to listen on. Check HOST.',
  ENOTFOUND: 'that name has no address. Check HOST.',
  EAI_AGAIN: 'that name could not be looked up. Check HOST.'
}

function cannotListen(port: number, host: string | undefined, cause: unknown): DoorError {
  const code = codeOf(cause)
  const reason = REMEDIES[code] ?? (cause instanceof Error ? cause.message : String(cause))
  return new DoorError(`Cannot listen${on(host)}, port ${port}: ${reason}${code ? ` (${code})` : ''}`, { cause })
}

const on = (host: string | undefined): string => (host ? ` on ${host}` : '')

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException | undefined)?.code ?? ''
