import { isIPv6 } from 'node:net'

/** Stands for a connection whose address is not known any more. */
const UNKNOWN = 'unknown'

/**
 * Whom an address stands for in every limit: an IPv4 address, however it is written, or the /64 of an IPv6 address, which is
 * what one customer or one device gets.
 */
export function addressKey(address: string | undefined): string {
  if (address === undefined || address === '') return UNKNOWN
  const plain = address.replace(/^\[|\]$/g, '').split('%')[0]!
  if (!isIPv6(plain)) return plain.toLowerCase()
  const groups = groupsOf(plain)
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (mapped)
    return groups
      .slice(6)
      .flatMap((group) => [group >> 8, group & 0xff])
      .join('.')
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** The eight groups of an IPv6 address. URL gives it its one spelling (WHATWG URL, "IPv6 serializer"). */
function groupsOf(address: string): number[] {
  const [left = '', right] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const numbers = (text: string) => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)))
  const [before, after] = [numbers(left), numbers(right ?? '')]
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}
