// A chat in an L2PS network: messages are sealed with a key that all members share.
import {
  createL2psClient,
  createSigner,
  type L2psClient,
  openTextFromSubnet,
  type StoredMessage,
  sealForSubnet
} from '../../client/src/index.ts'
import { type Chat, errorText, type Listener, statusAfter } from './chat.ts'

/** The wait before history is asked whether a message was delivered: doubled from poll to poll. */
const FIRST_POLL_MS = 250
const LAST_POLL_MS = 15_000
/** Messages of one conversation in a poll; older ones keep the status last reported. */
const POLLED_MESSAGES = 50

export interface L2psChatOptions {
  readonly url: string
  readonly network: string
  /** 32 secret bytes: the seed of our signing key. */
  readonly seed: Uint8Array
  /** 32 secret bytes that all members hold. */
  readonly subnetKey: Uint8Array
}

export async function createL2psChat(options: L2psChatOptions, listener: Listener): Promise<Chat> {
  const { url, network, seed, subnetKey } = options
  const client = createL2psClient({ url, l2psUid: network, signer: await createSigner('ed25519', seed) })
  const deliveries = new DeliveryPoller(client, listener)
  listen(client, { subnetKey, listener, deliveries })
  return {
    me: client.publicKey,
    start: () => client.connect(),
    send: async (number, to, text) => {
      try {
        const { status, messageHash } = await client.send(to, await sealForSubnet(text, subnetKey))
        listener.status(number, status)
        deliveries.watch({ number, to, messageHash })
      } catch (error) {
        listener.status(number, statusAfter(error), errorText(error))
      }
    },
    present: async () => [...client.peers],
    close: async () => {
      deliveries.stop()
      await client.close()
    }
  }
}

function listen(
  client: L2psClient,
  { subnetKey, listener, deliveries }: { subnetKey: Uint8Array; listener: Listener; deliveries: DeliveryPoller }
): void {
  const { events } = client
  let shown: Promise<unknown> = Promise.resolve() // opening takes time; messages are shown in the order they came
  events.on('message', ({ from, encrypted, offline: waited }) => {
    const opened = openTextFromSubnet(encrypted, subnetKey).then(
      (text) => ({ from, waited, text }),
      () => ({ from, waited, problem: 'it was sealed with another key' })
    )
    shown = shown.then(async () => listener.message(await opened))
  })
  events.on('peerJoined', ({ publicKey }) => {
    listener.presence(publicKey, true)
    deliveries.pollSoon()
  })
  events.on('peerLeft', ({ publicKey }) => listener.presence(publicKey, false))
  events.on('error', ({ error }) => listener.problem(errorText(error)))
  events.on('disconnected', ({ code, willReconnect }) =>
    listener.connection(willReconnect ? 'lost' : 'over', `code ${code}`)
  )
  events.on('connected', ({ again, onlinePeers }) => {
    if (again) listener.connection('again')
    for (const peer of onlinePeers) listener.presence(peer, true)
    deliveries.pollSoon()
  })
}

interface SentMessage {
  readonly number: number
  readonly to: string
  readonly messageHash: string
}

/** The protocol does not announce deliveries, but history shows the status of each message: so history is polled. */
class DeliveryPoller {
  readonly #client: L2psClient
  readonly #listener: Listener
  readonly #undelivered = new Set<SentMessage>()
  #waitMs = FIRST_POLL_MS
  #timer: NodeJS.Timeout | undefined
  #isPolling = false

  constructor(client: L2psClient, listener: Listener) {
    this.#client = client
    this.#listener = listener
  }

  watch(message: SentMessage): void {
    this.#undelivered.add(message)
    this.pollSoon()
  }

  pollSoon(): void {
    this.#waitMs = FIRST_POLL_MS
    if (!this.#isPolling) this.#schedule()
  }

  stop(): void {
    this.#undelivered.clear()
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#undelivered.size === 0) return
    this.#timer = setTimeout(() => void this.#poll(), this.#waitMs)
    this.#waitMs = Math.min(2 * this.#waitMs, LAST_POLL_MS)
  }

  async #poll(): Promise<void> {
    this.#isPolling = true
    for (const to of new Set([...this.#undelivered].map((message) => message.to))) {
      // A failure here is a lost connection, which the listener hears of anyway.
      const page = await this.#client.history(to, { limit: POLLED_MESSAGES }).catch(() => undefined)
      for (const message of this.#undelivered) {
        const stored = page?.messages.find(({ messageHash }) => messageHash === message.messageHash)
        if (message.to === to && stored !== undefined) this.#update(message, stored)
      }
    }
    this.#isPolling = false
    this.#schedule()
  }

  #update(message: SentMessage, { status }: StoredMessage): void {
    if (status === 'queued' || status === 'sent') return
    this.#undelivered.delete(message)
    if (status === 'failed') {
      this.#listener.status(message.number, 'failed', 'the server gave it up: expired or purged')
    } else this.#listener.status(message.number, 'delivered')
  }
}
