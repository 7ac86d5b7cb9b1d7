import { isIP } from 'node:net'

/** The proxies whose X-Forwarded-For is used, as Fastify's `trustProxy` takes them. */
export type TrustedProxies = false | string[] | ((address: string, hop: number) => boolean)

/** What TRUST_PROXY may be, fit to follow "must be". */
export const TRUSTED_PROXIES =
  'true, false, a number of proxies from 0 to 9, or addresses like 10.0.0.7, 10.1.0.0/16, loopback, linklocal, uniquelocal, separated by commas'

const RANGES = new Set(['loopback', 'linklocal', 'uniquelocal'])
const BITS = { 4: 32, 6: 128 } as const

/**
 * Reads TRUST_PROXY; undefined: neither a number nor addresses. A number says how many proxies of ours a request passes,
 * `true` means one. Only that many entries at the end of X-Forwarded-For are used: a client may have written the others.
 */
export function trustedProxies(text: string): TrustedProxies | undefined {
  const hops = hopsIn(text.toLowerCase())
  if (hops !== undefined) return hops > 0 && ((_address, hop) => hop < hops)
  const proxies = text.split(',').map((proxy) => proxy.trim())
  return proxies.every(isProxy) ? proxies : undefined
}

function hopsIn(text: string): number | undefined {
  if (text === 'true') return 1
  if (text === 'false') return 0
  return /^\d$/.test(text) ? Number(text) : undefined
}

/** Every address (`/0`) is no proxy: whoever may believe all of them says `true`. */
function isProxy(text: string): boolean {
  if (RANGES.has(text)) return true
  const [address, bits, ...rest] = text.split('/')
  const family = isIP(address!) as 0 | 4 | 6
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^[1-9]\d{0,2}$/.test(bits) && Number(bits) <= BITS[family])
}
