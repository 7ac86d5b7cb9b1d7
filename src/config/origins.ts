/** What ALLOWED_ORIGINS may be, fit to follow "must be". */
export const ORIGINS = 'origins like https://app.example or http://localhost:8080, without a path, separated by commas'

/** What PUBLIC_ORIGINS may be, fit to follow "must be". */
export const SOCKET_ORIGINS =
  'origins of WebSockets like wss://relay.example or ws://localhost:3005, separated by commas'

/** Reads PUBLIC_ORIGINS, spelled as the URL of a client is; undefined: an item is no origin of a WebSocket. */
export function socketOriginsIn(text: string): ReadonlySet<string> | undefined {
  const origins = originsIn(text)
  return origins !== undefined && [...origins].every((origin) => /^wss?:/.test(origin)) ? origins : undefined
}

/** Reads ALLOWED_ORIGINS, spelled as browsers do; undefined: an item is no origin. */
export function originsIn(text: string): ReadonlySet<string> | undefined {
  const origins = text.split(',').map((origin) => normalized(origin.trim()))
  return origins.includes(undefined) ? undefined : new Set(origins as string[])
}

/** Lower case, without the default port of the scheme. "null" is no origin: any page can send it. */
function normalized(text: string): string | undefined {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*\\]+$/i.test(text) || !URL.canParse(text)) return undefined
  const { origin } = new URL(text)
  return origin === 'null' ? text.toLowerCase() : origin // apps have schemes of their own, as capacitor://localhost
}
