import { createHash, randomBytes } from 'node:crypto'
import type { Database, ReservedSql } from '../database/database.ts'
import { isListening } from '../store/relay.ts'
import { Batcher } from '../util/batcher.ts'
import type { Log } from '../util/log.ts'
import type { Bus, BusListener } from './bus.ts'

export interface NotifyBusOptions {
  readonly database: Database
  readonly cluster: string
  /** Id of this relay. */
  readonly relay: string
  readonly listener: BusListener
  readonly log: Log
}

/** PostgreSQL takes payloads of less than 8,000 bytes; ours are in ASCII. */
const PAYLOAD_BYTES = 7_900
/** A longer message comes in parts. */
const MAX_PARTS = 64
const MAX_BYTES = 400_000
/** How long the parts of a message are waited for, in ms. */
const PARTS_MS = 5_000
/** How often the bus sends itself a message; without one for three times as long it listens anew. In ms. */
const ECHO_MS = 1_000
/** How long a relay may take to answer before it is looked whether it listens at all, in ms. */
const ANSWER_MS = 150

/**
 * The bus over `NOTIFY`: nothing more to run than PostgreSQL. Messages are sent after the commit they speak of, never
 * in its transaction, many in one statement. Payloads: `kind|id|part/parts|text`; kind m: message, q: question with the
 * channel of its answer, a: answer.
 */
export async function openNotifyBus(options: NotifyBusOptions): Promise<Bus> {
  const bus = new NotifyBus(options)
  await bus.open()
  return bus
}

interface Notification {
  readonly channel: string
  readonly payload: string
  readonly bytes: number
}

class NotifyBus implements Bus {
  readonly name = 'postgres'
  readonly carriesBodies = false
  readonly maxBytes = MAX_BYTES
  readonly #options: NotifyBusOptions
  readonly #prefix: string
  readonly #outgoing: Batcher<Notification, true>
  readonly #parts = new Map<string, { readonly texts: string[]; missing: number; readonly since: number }>()
  readonly #questions = new Map<string, (answer: Buffer) => void>()
  #connection: ReservedSql | undefined
  #listenerPid: number | null = null
  #isConnected = false
  #heardAt = Number.NEGATIVE_INFINITY
  #isOpening = false
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: NotifyBusOptions) {
    this.#options = options
    this.#prefix = `demos_relay_${createHash('sha256').update(options.cluster).digest('hex').slice(0, 12)}`
    this.#outgoing = new Batcher({
      write: async (batch) => {
        await this.#notify(batch)
        return batch.map(() => true as const)
      },
      limits: {
        ...{ batchItems: 512, batchBytes: 1_000_000, waitingItems: 20_000, waitingBytes: 64_000_000 },
        ...{ deadlineMs: undefined }
      },
      failed: () => {} // it is lost, and missed by its number
    })
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  get listenerPid(): number | null {
    return this.#listenerPid
  }

  async open(): Promise<void> {
    await this.#listen()
    this.#timer = setInterval(() => this.#tick(), ECHO_MS)
  }

  publish(relay: string, message: Buffer): void {
    if (this.#isConnected) this.#send(this.#channelOf(relay), 'm', message)
  }

  broadcast(message: Buffer): void {
    if (this.#isConnected) this.#send(this.#channelOf('all'), 'm', message)
  }

  async ask(relay: string, question: Buffer, ms: number): Promise<Buffer | 'unreachable' | 'silent'> {
    if (!this.#isConnected) return 'silent'
    const id = randomBytes(9).toString('base64url')
    return new Promise((resolve) => {
      const settle = (answer: Buffer | 'unreachable' | 'silent') => {
        clearTimeout(late)
        clearTimeout(look)
        this.#questions.delete(id)
        resolve(answer)
      }
      const late = setTimeout(settle, ms, 'silent')
      const look = setTimeout(
        () => void this.#isGone(relay).then((isGone) => isGone && settle('unreachable')),
        ANSWER_MS
      )
      this.#questions.set(id, settle)
      this.#send(this.#channelOf(relay), 'q', Buffer.concat([Buffer.from(`${this.#options.relay}\n`), question]), id)
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#outgoing.drained()
    this.#isConnected = false
    this.#connection?.release()
  }

  async #isGone(relay: string): Promise<boolean> {
    const { database } = this.#options
    return database.within(isListening(database.sql, relay)).then(
      (isThere) => !isThere,
      () => false
    )
  }

  #channelOf(relay: string): string {
    return `${this.#prefix}_${relay}`
  }

  /** Listens on a connection of its own; what was sent meanwhile was missed. */
  async #listen(): Promise<void> {
    const { database, relay, listener } = this.#options
    let listening: ReservedSql | undefined
    const lost = () => {
      if (listening !== undefined && this.#connection === listening) this.#lost()
    }
    const connection = await database.reserve({ onNotify: (_channel, payload) => this.#hear(payload), onLost: lost })
    try {
      const [row] = await database.within(connection<{ pid: number }[]>`select pg_backend_pid() as pid`)
      const listen = `listen "${this.#channelOf(relay)}"; listen "${this.#channelOf('all')}"`
      await database.within(connection.unsafe(listen).simple())
      if (this.#isClosed) throw new Error('the bus was closed')
      this.#listenerPid = row!.pid
    } catch (error) {
      connection.release()
      throw error
    }
    listening = connection
    this.#connection = connection
    this.#heardAt = performance.now()
    this.#isConnected = true
    listener.connected()
  }

  #lost(): void {
    this.#connection?.release()
    this.#connection = undefined
    if (!this.#isConnected) return
    this.#isConnected = false
    const { listener, log } = this.#options
    if (!this.#isClosed) log.warn({}, 'the connection that listens to other relays is lost')
    listener.disconnected()
  }

  #tick(): void {
    const now = performance.now()
    for (const [id, { since }] of this.#parts) if (now - since > PARTS_MS) this.#parts.delete(id)
    if (this.#isConnected && now - this.#heardAt > 3 * ECHO_MS) this.#lost()
    if (this.#isConnected) this.#send(this.#channelOf(this.#options.relay), 'e', Buffer.alloc(0))
    else if (!this.#isOpening && !this.#isClosed) {
      this.#isOpening = true
      void this.#listen()
        .catch(() => {}) // the pool says why; tried again with the next tick
        .finally(() => {
          this.#isOpening = false
        })
    }
  }

  #send(
    channel: string,
    kind: 'm' | 'q' | 'a' | 'e',
    message: Buffer,
    id = randomBytes(9).toString('base64url')
  ): void {
    const text = message.toString('latin1')
    const parts = Math.max(1, Math.ceil(text.length / PAYLOAD_BYTES))
    if (parts > MAX_PARTS) return
    for (let part = 0; part < parts; part++) {
      const payload = `${kind}|${id}|${part}/${parts}|${text.slice(part * PAYLOAD_BYTES, (part + 1) * PAYLOAD_BYTES)}`
      this.#outgoing.add({ channel, payload, bytes: payload.length }, () => {})
    }
  }

  /** Without a wait for the disk: a notification that a crash of Postgres loses is missed by its number. */
  async #notify(batch: readonly Notification[]): Promise<void> {
    const { database } = this.#options
    await database.within(database.sql`
      select set_config('synchronous_commit', 'off', true), pg_notify(channel, payload)
      from unnest(${batch.map(({ channel }) => channel)}::text[], ${batch.map(({ payload }) => payload)}::text[])
        as n (channel, payload)`)
  }

  #hear(payload: string): void {
    this.#heardAt = performance.now()
    const [, kind, id, part, parts, text] = /^([mqae])\|([\w-]+)\|(\d+)\/(\d+)\|(.*)$/s.exec(payload) ?? []
    if (id === undefined || kind === 'e') return
    const whole = this.#assemble(id, Number(part), Number(parts), text!)
    if (whole === undefined) return
    const message = Buffer.from(whole, 'latin1')
    if (kind === 'm') this.#options.listener.message(message)
    else if (kind === 'a') this.#questions.get(id)?.(message)
    else void this.#answer(id, message)
  }

  #assemble(id: string, part: number, parts: number, text: string): string | undefined {
    if (parts === 1) return text
    const known = this.#parts.get(id) ?? { texts: [], missing: parts, since: performance.now() }
    this.#parts.set(id, known)
    if (known.texts[part] === undefined) known.missing -= 1
    known.texts[part] = text
    if (known.missing > 0) return undefined
    this.#parts.delete(id)
    return known.texts.join('')
  }

  async #answer(id: string, message: Buffer): Promise<void> {
    const end = message.indexOf(10)
    const asker = message.toString('latin1', 0, end)
    const { listener, log } = this.#options
    try {
      this.#send(this.#channelOf(asker), 'a', await listener.answer(message.subarray(end + 1)), id)
    } catch (error) {
      log.warn({ err: error }, 'a question of another relay is not answered')
    }
  }
}
