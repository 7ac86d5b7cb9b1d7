// Signs what is committed, remembers what is signed, publishes what is remembered. Because of this order, a crash or a
// database restored to an earlier time cannot take back a published tree unnoticed.
import type { Database } from '../database/database.ts'
import { type AuditLog, logsToPublish, publishCheckpoints } from '../store/audit-log.ts'
import { checkpointText, signNote } from '../tlog/note.ts'
import type { Log } from '../util/log.ts'
import type { CheckpointMemory, Remembered } from './checkpoint-file.ts'
import { faultBySize, notKept } from './consistency.ts'
import { type NodeIdentity, nodeVerifier, originOf } from './node-key.ts'
import { LogUnsafe, rootsAt } from './stored-tree.ts'

/** Logs handled in one go: bounds the tiles held in memory. */
const GROUP = 64

export interface PublisherOptions {
  readonly database: Database
  readonly memory: CheckpointMemory
  readonly node: NodeIdentity
  readonly now: () => number
  readonly log: Log
}

export class Publisher {
  readonly #database: Database
  readonly #memory: CheckpointMemory
  readonly #node: NodeIdentity
  readonly #now: () => number
  readonly #log: Log
  readonly #halted = new Map<string, string>()
  #since = 0
  #hasChecked = false

  constructor({ database, memory, node, now, log }: PublisherOptions) {
    this.#database = database
    this.#memory = memory
    this.#node = node
    this.#now = now
    this.#log = log
  }

  /** Whether every checkpoint that was remembered at the start has been compared with the database. */
  get hasChecked(): boolean {
    return this.#hasChecked
  }

  /** Networks whose log is halted (not added to, not signed) until an operator decides, and why. */
  get halted(): ReadonlyMap<string, string> {
    return this.#halted
  }

  /** The public key of what is signed here. */
  get signer(): Uint8Array {
    return nodeVerifier(this.#node).publicKey
  }

  /** Refuses a log that is not what was signed before. For the transaction that adds to it. Throws `LogUnsafe`. */
  readonly check = (log: AuditLog): void => {
    const fault = faultBySize(log, this.#memory.get(log.network))
    if (fault !== undefined) throw new LogUnsafe(log.network, fault)
  }

  halt({ network, message: reason }: LogUnsafe): void {
    if (this.#halted.get(network) === reason) return
    this.#halted.set(network, reason)
    this.#log.error({ network, reason }, 'audit log halted: nothing is recorded or signed until an operator decides')
  }

  /** Signs and publishes what has grown, and remembers what other servers published. */
  async publish(): Promise<void> {
    const known = this.#hasChecked ? [...this.#halted.keys()] : this.#memory.all().map(({ network }) => network)
    const logs = await this.#within(logsToPublish(this.#database.sql, this.#since, known))
    for (const network of known) {
      const isThere = logs.some((log) => log.network === network)
      if (!isThere) this.halt(new LogUnsafe(network, 'the database has no such log, but a checkpoint of it was signed'))
    }
    for (let at = 0; at < logs.length; at += GROUP) await this.#settle(logs.slice(at, at + GROUP))
    this.#since = Math.max(this.#since, ...logs.map((log) => log.publishedAt))
    this.#hasChecked = true
  }

  async #settle(logs: readonly AuditLog[]): Promise<void> {
    const open = logs.filter((log) => this.#isOpen(log))
    if (open.length === 0) return
    const faults = await this.#faults(open)
    const settled = await Promise.all(open.map((log, place) => this.#sign(log, faults[place])))
    const signed = settled.filter((checkpoint) => checkpoint !== undefined)
    if (signed.length > 0) {
      const now = this.#now()
      await this.#within(publishCheckpoints(this.#database.sql, this.signer, signed, now))
      this.#since = Math.max(this.#since, now)
    }
  }

  /** Whether there is anything to decide, sign or remember about this log. */
  #isOpen(log: AuditLog): boolean {
    const last = this.#memory.get(log.network)
    const isRemembered = last?.epoch === log.epoch && last.size === log.size && Buffer.from(log.root).equals(last.root)
    return !isRemembered || log.size > log.publishedSize || this.#halted.has(log.network)
  }

  /** Signs a log that grew; returns what may be published now that it is remembered. */
  async #sign(log: AuditLog, fault: string | undefined) {
    if (fault !== undefined) return void this.halt(new LogUnsafe(log.network, fault))
    if (this.#halted.delete(log.network)) this.#log.info({ network: log.network }, 'audit log goes on')
    if (log.size === log.publishedSize) {
      if (log.publishedNote !== null) await this.#memory.remember(log.publishedNote)
      return undefined
    }
    const origin = originOf(this.#node.name, log.network, log.epoch)
    const note = await signNote(checkpointText({ ...log, origin }), [origin, this.#node.name], this.#node.key)
    await this.#memory.remember(note)
    return { log, note }
  }

  /** Why each log must not be signed: its tiles must give its root, and it must begin with the tree signed last. */
  async #faults(logs: readonly AuditLog[]): Promise<(string | undefined)[]> {
    const roots = await this.#within(
      rootsAt(
        this.#database.sql,
        logs.flatMap((log) => [
          { log, size: log.size },
          { log, size: Math.min(this.#promise(log)?.size ?? 0, log.size) }
        ])
      )
    )
    return logs.map((log, place) => {
      const bySize = faultBySize(log, this.#memory.get(log.network))
      if (bySize !== undefined) return bySize
      const [root, before] = [roots[place * 2]!, roots[place * 2 + 1]!]
      if (root instanceof LogUnsafe) return root.message
      if (!Buffer.from(root).equals(log.root)) return 'its tiles do not give its root'
      const promise = this.#promise(log)
      if (promise === undefined) return undefined
      const isKept = !(before instanceof LogUnsafe) && Buffer.from(before).equals(promise.root)
      return isKept ? undefined : notKept(promise)
    })
  }

  /** The last checkpoint this log's next one must be consistent with. */
  #promise(log: AuditLog): Remembered | undefined {
    const last = this.#memory.get(log.network)
    return last?.epoch === log.epoch ? last : undefined
  }

  #within<T>(query: PromiseLike<T>): Promise<T> {
    return this.#database.within(query)
  }
}
