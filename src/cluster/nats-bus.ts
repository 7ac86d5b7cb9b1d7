import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import {
  connect,
  credsAuthenticator,
  type Msg,
  type NatsConnection,
  type NodeConnectionOptions,
  RequestError,
  type TlsOptions
} from '@nats-io/transport-node'
import type { Log } from '../util/log.ts'
import type { Bus, BusListener } from './bus.ts'

export interface NatsSettings {
  /** nats:// or tls:// addresses, comma-separated. */
  readonly urls: string
  readonly credentialsFile: string | undefined
  readonly caFile: string | undefined
}

export interface NatsBusOptions {
  readonly settings: NatsSettings
  readonly cluster: string
  /** Id of this relay. */
  readonly relay: string
  readonly listener: BusListener
  readonly log: Log
}

/** Pause before a first connection is tried again, in ms; later ones the client tries by itself. */
const RETRY_MS = 1_000
/** A server that answers no ping for twice as long is away, in ms. */
const PING_MS = 1_000
const CONNECT_MS = 2_000
/** Least that NATS servers accept by default; bodies are at most a quarter of it. */
const MAX_BYTES = 1_000_000

/** Opens the bus over NATS core. A server that is not there is waited for in the background: the relay polls meanwhile. */
export async function openNatsBus(options: NatsBusOptions): Promise<Bus> {
  const bus = new NatsBus(options)
  await bus.open()
  return bus
}

class NatsBus implements Bus {
  readonly name = 'nats'
  readonly carriesBodies = true
  readonly maxBytes = MAX_BYTES
  readonly listenerPid = null
  readonly #options: NatsBusOptions
  readonly #prefix: string
  #connection: NatsConnection | undefined
  #isConnected = false
  #isClosed = false

  constructor(options: NatsBusOptions) {
    this.#options = options
    this.#prefix = `demos-relay.${options.cluster}`
  }

  get isConnected(): boolean {
    return this.#isConnected
  }

  async open(): Promise<void> {
    const { settings, relay, log } = this.#options
    const options = await connectionOptions(settings, relay)
    const first = await this.#tryToConnect(options)
    if (first === undefined) return
    log.warn({ err: first }, 'NATS is not reachable; relays look into Postgres every second until it is')
    void this.#keepTrying(options)
  }

  publish(relay: string, message: Buffer): void {
    if (this.#isConnected) this.#connection?.publish(`${this.#prefix}.${relay}`, message)
  }

  broadcast(message: Buffer): void {
    if (this.#isConnected) this.#connection?.publish(`${this.#prefix}.all`, message)
  }

  async ask(relay: string, question: Buffer, ms: number): Promise<Buffer | 'unreachable' | 'silent'> {
    if (!this.#isConnected || this.#connection === undefined) return 'silent'
    try {
      const reply = await this.#connection.request(`${this.#prefix}.${relay}.ask`, question, { timeout: ms })
      return Buffer.from(reply.data)
    } catch (error) {
      return error instanceof RequestError && error.isNoResponders() ? 'unreachable' : 'silent'
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#isConnected = false
    const connection = this.#connection
    if (connection === undefined) return
    // Drained: what was published last, such as that peers have left, is still sent.
    await Promise.race([connection.drain().catch(() => {}), delay(CONNECT_MS, undefined, { ref: false })])
    await connection.close().catch(() => {})
  }

  async #keepTrying(options: NodeConnectionOptions): Promise<void> {
    do await delay(RETRY_MS, undefined, { ref: false })
    while (!this.#isClosed && (await this.#tryToConnect(options)) !== undefined)
  }

  async #tryToConnect(options: NodeConnectionOptions): Promise<unknown> {
    try {
      this.#use(await connect(options))
      return undefined
    } catch (error) {
      return error
    }
  }

  #use(connection: NatsConnection): void {
    const { relay, listener, log } = this.#options
    if (this.#isClosed) {
      void connection.close()
      return
    }
    this.#connection = connection
    const hear = (_error: unknown, message: Msg) => listener.message(bufferOf(message))
    connection.subscribe(`${this.#prefix}.all`, { callback: hear })
    connection.subscribe(`${this.#prefix}.${relay}`, { callback: hear })
    connection.subscribe(`${this.#prefix}.${relay}.ask`, {
      callback: (_error, message) =>
        void listener.answer(bufferOf(message)).then(
          (answer) => message.respond(answer),
          (error: unknown) => log.warn({ err: error }, 'a question of another relay is not answered')
        )
    })
    this.#connected()
    void this.#follow(connection)
  }

  async #follow(connection: NatsConnection): Promise<void> {
    const { listener, log } = this.#options
    for await (const status of connection.status()) {
      if (status.type === 'disconnect' && this.#isConnected) {
        this.#isConnected = false
        if (!this.#isClosed) log.warn({}, 'NATS is not reachable; relays look into Postgres every second until it is')
        listener.disconnected()
      } else if (status.type === 'reconnect') this.#connected()
    }
  }

  #connected(): void {
    const { listener, log } = this.#options
    this.#isConnected = true
    log.info({}, 'connected to NATS')
    listener.connected()
  }
}

async function connectionOptions(settings: NatsSettings, relay: string): Promise<NodeConnectionOptions> {
  const { urls, credentialsFile, caFile } = settings
  const servers = urls.split(',').map((url) => new URL(url))
  const isTls = caFile !== undefined || servers.some(({ protocol }) => protocol === 'tls:')
  const [{ username, password }] = servers as [URL]
  const user = decodeURIComponent(username)
  return {
    servers: servers.map(({ host }) => host),
    ...(password !== '' ? { user, pass: decodeURIComponent(password) } : user === '' ? {} : { token: user }),
    name: `demos-relay ${relay}`,
    timeout: CONNECT_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    reconnectTimeWait: 250,
    maxReconnectAttempts: -1,
    ignoreAuthErrorAbort: true,
    noEcho: false,
    ...(credentialsFile === undefined ? {} : { authenticator: credsAuthenticator(await readFile(credentialsFile)) }),
    ...(isTls ? { tls: await tlsOptions(servers, caFile) } : {})
  }
}

/** The client passes these on to node:tls, but does not say whose certificate is expected where a server is an address. */
async function tlsOptions(servers: readonly URL[], caFile: string | undefined): Promise<TlsOptions> {
  const addresses = servers.map(({ hostname }) => hostname.replace(/^\[|\]$/g, '')).filter((name) => isIP(name) !== 0)
  const check = (name: string, certificate: PeerCertificate) => {
    const expected = name === 'localhost' && addresses.length > 0 ? addresses : [name]
    const faults = expected.map((each) => checkServerIdentity(each, certificate))
    return faults.includes(undefined) ? undefined : faults[0]
  }
  const options = {
    checkServerIdentity: check,
    ...(caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') })
  }
  return options
}

/** Without a copy: the client hands each message its own bytes. */
const bufferOf = ({ data }: Msg) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)
