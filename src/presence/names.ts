import sortedBTree from 'sorted-btree'

const { default: BTree } = sortedBTree // CommonJS: its default export is a member of what Node imports

/** Which peers of a network are asked for. */
export interface PageOfPeers {
  /** Only those that come after this name; it need not be one of a peer. */
  readonly after?: string | undefined
  /** Only those whose names begin so. */
  readonly prefix?: string | undefined
  readonly limit: number
}

/** Peers in the order of their names. */
export interface Page {
  readonly peers: string[]
  /** Are there others behind the last one? */
  readonly hasMore: boolean
}

/** Where pages come from. Whoever gives a promise may be a moment behind. */
export type PeersIn = (network: string, page: PageOfPeers) => Page | Promise<Page>

/** The names of the peers of a network, in order: a change and the way to a page take O(log n). */
export class Names {
  readonly #tree = new BTree<string, undefined>(undefined, compareNames)

  add(name: string): void {
    this.#tree.set(name, undefined)
  }

  delete(name: string): void {
    this.#tree.delete(name)
  }

  page({ after, prefix = '', limit }: PageOfPeers): Page {
    const peers: string[] = []
    const first = after !== undefined && compareNames(after, prefix) > 0 ? after : prefix
    for (const name of this.#tree.keys(first)) {
      if (name === after) continue
      if (!name.startsWith(prefix)) break
      if (peers.length === limit) return { peers, hasMore: true }
      peers.push(name)
    }
    return { peers, hasMore: false }
  }
}

/** The order of code points, which is that of PostgreSQL's collation "C"; `<` would be that of UTF-16 units. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const difference = rank(a.charCodeAt(at)) - rank(b.charCodeAt(at))
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Halves of surrogate pairs stand for code points past all others. */
const rank = (unit: number) => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit)

/** Does the name begin so? As the database compares: only the letters A to Z have a case. */
export const startsWith = (name: string, search: string | undefined): boolean =>
  search === undefined || lowered(name).startsWith(lowered(search))

export const lowered = (text: string): string => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
