import { isIPv6 } from 'node:net'

/** Groups of an IPv6 address that name its network: a /64, which one machine has for itself. */
const NETWORK_GROUPS = 4

/** What a limit by address counts as one: an IPv4 address in any spelling, or the /64 of an IPv6 address. */
export function addressBlock(address: string): string {
  const plain = address.replace(/%.*$/, '').toLowerCase()
  const [, ipv4] = /^(?:0{0,4}:){2,5}ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(plain) ?? []
  if (ipv4 !== undefined) return ipv4
  if (!isIPv6(plain)) return address
  const [head = '', tail] = plain.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const gap = tail === undefined ? 0 : 8 - front.length - back.length
  const groups = [...front, ...Array.from({ length: Math.max(0, gap) }, () => '0'), ...back]
  return `${groups
    .slice(0, NETWORK_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
