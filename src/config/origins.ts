/** What ALLOWED_ORIGINS may be, fit to follow "must be". */
export const ORIGINS = 'origins like https://app.example or http://localhost:8080, without a path, separated by commas'

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
