import { type Database, DatabaseUnavailable } from '../database/database.ts'
import { makeFirstNetwork, readNetworks } from '../store/l2ps-network.ts'
import type { Log } from '../util/log.ts'
import { isNetworkUid, type Network, sameNetwork } from './network.ts'
import { type Fault, type FilesFound, NetworkFiles } from './network-files.ts'

export { isNetworkUid, type Network } from './network.ts'
export type { Fault } from './network-files.ts'

/** Which networks there are, from files and from the database; the database wins where both define one. */
export interface NetworkRegistry {
  /** From memory. A disabled network is returned as such; undefined: unknown, or no uid at all. */
  find(uid: string): Network | undefined
  /**
   * The same for a registration: reads files and database once more for an unknown network, so one that was just made is
   * found. Such reads are shared and limited in number; the caller waits up to 2 s for one.
   * Throws `DatabaseUnavailable` when the network is unknown and the database could not be asked.
   */
  lookUp(uid: string): Promise<Network | undefined>
  list(): Network[]
  /** What is wrong with files, by their place below the directory. Fit for strangers: neither keys nor full paths. */
  faults(): Fault[]
  /** Calls the listener when a network appears, changes (enabled, members, …) or is gone: then it is undefined. */
  onChange(listener: (uid: string, network: Network | undefined) => void): void
  /** Reads files and database now. Never throws: what cannot be read stays as it was known. */
  refresh(): Promise<void>
  /** Stops polling, after the poll under way. */
  close(): Promise<void>
}

export interface NetworkRegistryOptions {
  /** L2PS_DIR. It need not exist. */
  readonly directory: string
  /** Key paths in files may be relative to it. Default: that of the process. */
  readonly workingDirectory?: string
  readonly database: Pick<Database, 'sql' | 'within'>
  readonly log: Log
  /** Rest between two polls of files and database, in ms. */
  readonly pollMs?: number
}

const POLL_MS = 2_000
/** Least time between two polls for unknown networks, in ms; and ten times as long as reading the files took. */
const POLLS_APART_MS = 1_000
/** Longest a poll waits for the database, in ms. */
const QUERY_MS = 2_000

/** Opens the registry after a first poll. */
export async function openNetworkRegistry(options: NetworkRegistryOptions): Promise<NetworkRegistry> {
  const registry = new PolledRegistry(options)
  await registry.start()
  return registry
}

class PolledRegistry implements NetworkRegistry {
  readonly #options: NetworkRegistryOptions
  readonly #files: NetworkFiles
  readonly #listeners: ((uid: string, network: Network | undefined) => void)[] = []
  #networks: ReadonlyMap<string, Network> = new Map()
  /** What the database said last, and at which revision. */
  #rows: readonly Network[] = []
  #revision: number | undefined
  #faults: Fault[] = []
  /** Why the last poll could not read the database. */
  #unavailable: DatabaseUnavailable | undefined
  #polling: Promise<void> | undefined
  #nextPoll: Promise<void> | undefined
  /** The poll for unknown networks that has not begun yet. */
  #sharedPoll: Promise<void> | undefined
  #polledAt = Number.NEGATIVE_INFINITY
  /** How long reading the files took in the last poll, in ms. */
  #filesMs = 0
  #timer: NodeJS.Timeout | undefined
  #started = false
  #closed = false

  constructor(options: NetworkRegistryOptions) {
    this.#options = options
    this.#files = new NetworkFiles(options.directory, options.workingDirectory ?? process.cwd())
  }

  async start(): Promise<void> {
    await this.refresh()
    this.#started = true
    this.#poll()
  }

  find(uid: string): Network | undefined {
    return this.#networks.get(uid)
  }

  async lookUp(uid: string): Promise<Network | undefined> {
    const known = this.#networks.get(uid)
    if (known !== undefined || !isNetworkUid(uid) || this.#closed) return known
    this.#sharedPoll ??= this.#pollForUnknown()
    await this.#sharedPoll
    const network = this.#networks.get(uid)
    if (network === undefined && this.#unavailable !== undefined) throw this.#unavailable
    return network
  }

  list(): Network[] {
    return [...this.#networks.values()]
  }

  faults(): Fault[] {
    return [...this.#faults]
  }

  onChange(listener: (uid: string, network: Network | undefined) => void): void {
    this.#listeners.push(listener)
  }

  /** The poll under way may have read before the caller's own change, so the caller waits for the next one. */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#polling === undefined) {
      this.#polling = this.#pollOnce().finally(() => {
        this.#polling = undefined
      })
      return this.#polling
    }
    this.#nextPoll ??= this.#polling.then(() => {
      this.#nextPoll = undefined
      return this.refresh()
    })
    return this.#nextPoll
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#polling
  }

  #poll(): void {
    if (this.#closed) return
    const poll = () => void this.refresh().then(() => this.#poll())
    this.#timer = setTimeout(poll, this.#options.pollMs ?? POLL_MS).unref()
  }

  /** All who ask before it begins share this poll. */
  async #pollForUnknown(): Promise<void> {
    const apartMs = Math.min(POLL_MS, Math.max(POLLS_APART_MS, 10 * this.#filesMs))
    const waitMs = Math.max(0, this.#polledAt + apartMs - performance.now())
    // Also where there is nothing to wait for: the promise of this poll has to be kept before it can be forgotten.
    await new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref())
    this.#sharedPoll = undefined
    await this.refresh()
  }

  async #pollOnce(): Promise<void> {
    this.#polledAt = performance.now()
    const [files, databaseFaults] = await Promise.all([this.#readFiles(), this.#readDatabase()])
    if (this.#closed) return
    this.#report([...files.faults, ...databaseFaults])
    const all = [...files.networks, ...this.#rows] // a later one of the same uid wins
    this.#replace(new Map(all.map((network) => [network.uid, network])))
  }

  async #readFiles(): Promise<FilesFound> {
    const found = await this.#files.read()
    this.#filesMs = performance.now() - this.#polledAt
    return found
  }

  async #readDatabase(): Promise<Fault[]> {
    const { database, log } = this.#options
    try {
      const news = await database.within(readNetworks(database.sql, this.#revision), QUERY_MS)
      if (news !== undefined) {
        this.#rows = news.networks.map((network) => ({ ...network, source: 'database' }))
        this.#revision = news.revision
      }
      this.#unavailable = undefined
      return []
    } catch (error) {
      this.#revision = undefined // what answers next may be another database, restored from a backup
      if (error instanceof DatabaseUnavailable) {
        this.#unavailable = error // readiness and log say so already
        return []
      }
      if (this.#unavailable === undefined) log.warn({ err: error }, 'L2PS networks in the database cannot be read')
      this.#unavailable = new DatabaseUnavailable('L2PS networks in the database cannot be read', { cause: error })
      return [{ place: 'database', reason: 'its networks cannot be read; those known before stay' }]
    }
  }

  #report(faults: Fault[]): void {
    const { log } = this.#options
    const before = new Set(this.#faults.map(faultKey))
    const now = new Set(faults.map(faultKey))
    for (const fault of faults)
      if (!before.has(faultKey(fault))) log.warn(fault, 'L2PS network configuration is faulty')
    for (const fault of this.#faults) {
      if (!now.has(faultKey(fault))) log.info(fault, 'fault of an L2PS network configuration is gone')
    }
    this.#faults = faults
  }

  #replace(networks: Map<string, Network>): void {
    const before = this.#networks
    this.#networks = networks
    for (const uid of new Set([...before.keys(), ...networks.keys()])) {
      const known = before.get(uid)
      if (sameNetwork(known, networks.get(uid))) networks.set(uid, known!)
      else this.#tell(uid, networks.get(uid))
    }
  }

  #tell(uid: string, network: Network | undefined): void {
    const { log } = this.#options
    const state = network === undefined ? 'gone' : network.enabled ? 'enabled' : 'disabled'
    if (this.#started) log.info({ networkUid: uid, state, members: network?.members?.size }, 'L2PS network changed')
    for (const listener of this.#listeners) {
      try {
        listener(uid, network)
      } catch (error) {
        log.error({ err: error, networkUid: uid }, 'a change of an L2PS network was not followed')
      }
    }
  }
}

const faultKey = ({ place, reason }: Fault) => `${place}\n${reason}`

const DEMO = {
  uid: 'demo',
  name: 'Demo',
  description: 'Open to everybody who can reach this server: for trying it out.'
}

/**
 * Gives a new user one network to join: the first start with an embedded database makes `demo` in it, unless the operator
 * has a network already, valid or not. The database remembers its first start, so a deleted `demo` is not made again.
 */
export async function ensureDemoNetwork(
  registry: NetworkRegistry,
  database: Pick<Database, 'sql' | 'within' | 'embedded'>,
  log: Log
): Promise<void> {
  if (!database.embedded) return
  const wanted = registry.list().length === 0 && registry.faults().length === 0
  if (!(await database.within(makeFirstNetwork(database.sql, DEMO, wanted)))) return
  await registry.refresh()
  log.info({ networkUid: DEMO.uid }, 'first start: made an L2PS network for trying it out')
}
