import { type Database, DatabaseUnavailable } from '../database/database.ts'
import { readNetworks } from '../store/l2ps-network.ts'
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
   * The same for a registration: an unknown network is looked for once more, so one that was just made is found. Such
   * looks are shared and kept apart, so asking for unknown ones costs nobody but the asker, who waits up to 2 s.
   * Throws `DatabaseUnavailable` when the network is unknown and the database could not be asked.
   */
  lookUp(uid: string): Promise<Network | undefined>
  list(): Network[]
  /** What is wrong with files, by their place below the directory. Fit for strangers: neither keys nor full paths. */
  faults(): Fault[]
  /** Calls the listener when a network appears, changes (enabled, members, …) or is gone: then it is undefined. */
  onChange(listener: (uid: string, network: Network | undefined) => void): void
  /** Looks at files and database now. Never throws: what cannot be read stays as it was known. */
  refresh(): Promise<void>
  /** Ends the looking, waiting for a look under way. */
  close(): Promise<void>
}

export interface NetworkRegistryOptions {
  /** L2PS_DIR. It need not exist. */
  readonly directory: string
  /** Key paths in files may be relative to it. Default: that of the process. */
  readonly workingDirectory?: string
  readonly database: Pick<Database, 'sql' | 'within'>
  readonly log: Log
  /** How often files and database are looked at, in ms. */
  readonly pollMs?: number
}

const POLL_MS = 2_000
/** Looks for unknown networks begin at least so many ms apart, and ten times as long as the files of one took. */
const LOOKS_APART_MS = 500
/** Longest a look waits for the database, in ms. */
const QUERY_MS = 2_000

/** Opens the registry, after a first look. */
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
  /** Why the database could not be asked in the last look. */
  #absence: DatabaseUnavailable | undefined
  #look: Promise<void> | undefined
  #nextLook: Promise<void> | undefined
  #sharedLook: Promise<void> | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  /** How long the files took in the last look, in ms. */
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
    this.#sharedLook ??= this.#lookAgain()
    await this.#sharedLook
    const network = this.#networks.get(uid)
    if (network === undefined && this.#absence !== undefined) throw this.#absence
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

  /** A look that is under way may have passed by what the caller just changed, so he waits for the next. */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#look === undefined) {
      this.#look = this.#lookOnce().finally(() => {
        this.#look = undefined
      })
      return this.#look
    }
    this.#nextLook ??= this.#look.then(() => {
      this.#nextLook = undefined
      return this.refresh()
    })
    return this.#nextLook
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#look
  }

  #poll(): void {
    if (this.#closed) return
    const look = () => void this.refresh().then(() => this.#poll())
    this.#timer = setTimeout(look, this.#options.pollMs ?? POLL_MS).unref()
  }

  /** Whoever asks until this look begins shares it. */
  async #lookAgain(): Promise<void> {
    const apartMs = Math.min(POLL_MS, Math.max(LOOKS_APART_MS, 10 * this.#filesMs))
    const waitMs = this.#lookedAt + apartMs - performance.now()
    if (waitMs > 0) await new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref())
    this.#sharedLook = undefined
    await this.refresh()
  }

  async #lookOnce(): Promise<void> {
    this.#lookedAt = performance.now()
    const [files, databaseFaults] = await Promise.all([this.#readFiles(), this.#readDatabase()])
    if (this.#closed) return
    this.#report([...files.faults, ...databaseFaults])
    const all = [...files.networks, ...this.#rows] // a later one of the same uid wins
    this.#replace(new Map(all.map((network) => [network.uid, network])))
  }

  async #readFiles(): Promise<FilesFound> {
    const found = await this.#files.look()
    this.#filesMs = performance.now() - this.#lookedAt
    return found
  }

  async #readDatabase(): Promise<Fault[]> {
    const { database, log } = this.#options
    try {
      const news = await database.within(readNetworks(database.sql, this.#revision), QUERY_MS)
      if (news !== undefined) {
        this.#rows = news.networks
        this.#revision = news.revision
      }
      this.#absence = undefined
      return []
    } catch (error) {
      this.#revision = undefined // what answers next may be another database, restored from a backup
      if (error instanceof DatabaseUnavailable) {
        this.#absence = error // readiness and log say so already
        return []
      }
      if (this.#absence === undefined) log.warn({ err: error }, 'L2PS networks in the database cannot be read')
      this.#absence = new DatabaseUnavailable('L2PS networks in the database cannot be read', { cause: error })
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
