import { LruMap } from 'toad-cache'
import type { Database } from '../database/database.ts'
import type { Page, PageOfPeers } from '../presence/names.ts'
import { SIGNALING_NETWORK } from '../protocol/signaling.ts'
import { peersIn } from '../store/session-place.ts'

/** The first page of a network, as it is read for all who ask. */
interface FirstPage {
  /** The read under way, or the last one. */
  current: Promise<Page>
  readAt: number
  isReading: boolean
  /** The read that begins after it. */
  next: Promise<Page> | undefined
}

/** How old a first page may be where peers are not told who joined, ms. */
const PAGE_MS = 1_000
const MOST_NETWORKS = 1_000

/** The connected peers of all relays. First pages are asked for by many at once, who share a read. */
export class PeerPages {
  readonly #database: Pick<Database, 'sql' | 'ask'>
  readonly #first = new LruMap<FirstPage>(MOST_NETWORKS)

  constructor(database: Pick<Database, 'sql' | 'ask'>) {
    this.#database = database
  }

  /**
   * In an L2PS a page is as things were after it was asked for: its reader is told what changes from then on. Rejects with
   * `DatabaseUnavailable`.
   */
  page(network: string, page: PageOfPeers): Promise<Page> {
    if (page.after !== undefined || page.prefix !== undefined) return this.#read(network, page)
    const key = `${network} ${page.limit}`
    const first = this.#first.get(key)
    if (first === undefined) return this.#begin(key, network, page)
    if (network === SIGNALING_NETWORK && performance.now() - first.readAt < PAGE_MS) return first.current
    if (!first.isReading) return this.#begin(key, network, page)
    first.next ??= first.current.then(
      () => this.#begin(key, network, page),
      () => this.#begin(key, network, page)
    )
    return first.next
  }

  #begin(key: string, network: string, page: PageOfPeers): Promise<Page> {
    const current = this.#read(network, page)
    const first: FirstPage = { current, readAt: performance.now(), isReading: true, next: undefined }
    this.#first.set(key, first)
    const done = () => {
      first.isReading = false
    }
    current.then(done, () => {
      done()
      if (this.#first.get(key) === first && first.next === undefined) this.#first.delete(key)
    })
    return current
  }

  async #read(network: string, page: PageOfPeers): Promise<Page> {
    const { sql } = this.#database
    const peers = await this.#database.ask(() => peersIn(sql, network, { ...page, limit: page.limit + 1 }))
    return { peers: peers.slice(0, page.limit), hasMore: peers.length > page.limit }
  }
}
