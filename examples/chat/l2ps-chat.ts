import { createSigner } from '../../client/src/identity.ts'
import { createL2psClient, type L2psClient } from '../../client/src/l2ps.ts'
import type { StoredMessage } from '../../client/src/l2ps-answers.ts'
import { openTextFromSubnet, sealForSubnet } from '../../client/src/subnet.ts'
import { type Chat, fateOf, type Listener, sentence } from './chat.ts'

/** How long we wait until we look again whether a message has arrived: doubled each time. */
const FIRST_LOOK_MS = 250
const LAST_LOOK_MS = 15_000
/** Messages of one conversation looked at; older ones are left at what was last known. */
const LOOKED_AT = 50

export interface L2psChatOptions {
  readonly url: string
  readonly network: string
  /** 32 bytes that are who we are. */
  readonly seed: Uint8Array
  /** 32 bytes that all members hold. */
  readonly subnetKey: Uint8Array
}

/** A chat in an L2PS network: sealed with the key its members share. */
export async function createL2psChat(options: L2psChatOptions, listener: Listener): Promise<Chat> {
  const { url, network, seed, subnetKey } = options
  const client = createL2psClient({ url, l2psUid: network, signer: await createSigner('ed25519', seed) })
  const arrivals = new Arrivals(client, listener)
  listen(client, { subnetKey, listener, arrivals })
  return {
    me: client.publicKey,
    start: () => client.connect(),
    send: async (number, to, text) => {
      try {
        const { status, messageHash } = await client.send(to, await sealForSubnet(text, subnetKey))
        listener.fate(number, status)
        arrivals.expect({ number, to, messageHash })
      } catch (error) {
        listener.fate(number, fateOf(error), sentence(error))
      }
    },
    present: async () => [...client.peers],
    close: async () => {
      arrivals.stop()
      await client.close()
    }
  }
}

function listen(
  client: L2psClient,
  { subnetKey, listener, arrivals }: { subnetKey: Uint8Array; listener: Listener; arrivals: Arrivals }
): void {
  const { events } = client
  let told: Promise<unknown> = Promise.resolve() // opening takes a moment; they are told in the order they came
  events.on('message', ({ from, encrypted, offline: waited }) => {
    const opened = openTextFromSubnet(encrypted, subnetKey).then(
      (text) => ({ from, waited, text }),
      () => ({ from, waited, problem: 'it was sealed with another key' })
    )
    told = told.then(async () => listener.message(await opened))
  })
  events.on('peerJoined', ({ publicKey }) => {
    listener.presence(publicKey, true)
    arrivals.lookSoon()
  })
  events.on('peerLeft', ({ publicKey }) => listener.presence(publicKey, false))
  events.on('error', ({ error }) => listener.problem(sentence(error)))
  events.on('disconnected', ({ code, willReconnect }) =>
    listener.connection(willReconnect ? 'lost' : 'over', `code ${code}`)
  )
  events.on('connected', ({ again, onlinePeers }) => {
    if (again) listener.connection('again')
    for (const peer of onlinePeers) listener.presence(peer, true)
    arrivals.lookSoon()
  })
}

interface Expected {
  readonly number: number
  readonly to: string
  readonly messageHash: string
}

/** Nobody is told when a message arrives; history says so to whoever asks. */
class Arrivals {
  readonly #client: L2psClient
  readonly #listener: Listener
  readonly #expected = new Set<Expected>()
  #waitMs = FIRST_LOOK_MS
  #timer: NodeJS.Timeout | undefined
  #isLooking = false

  constructor(client: L2psClient, listener: Listener) {
    this.#client = client
    this.#listener = listener
  }

  expect(message: Expected): void {
    this.#expected.add(message)
    this.lookSoon()
  }

  lookSoon(): void {
    this.#waitMs = FIRST_LOOK_MS
    if (!this.#isLooking) this.#schedule()
  }

  stop(): void {
    this.#expected.clear()
    clearTimeout(this.#timer)
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#expected.size === 0) return
    this.#timer = setTimeout(() => void this.#look(), this.#waitMs)
    this.#waitMs = Math.min(2 * this.#waitMs, LAST_LOOK_MS)
  }

  async #look(): Promise<void> {
    this.#isLooking = true
    for (const to of new Set([...this.#expected].map((message) => message.to))) {
      const page = await this.#client.history(to, { limit: LOOKED_AT }).catch(() => undefined) // told as a lost connection
      for (const message of this.#expected) {
        const stored = page?.messages.find(({ messageHash }) => messageHash === message.messageHash)
        if (message.to === to && stored !== undefined) this.#settle(message, stored)
      }
    }
    this.#isLooking = false
    this.#schedule()
  }

  #settle(message: Expected, { status }: StoredMessage): void {
    if (status === 'queued' || status === 'sent') return
    this.#expected.delete(message)
    if (status === 'failed') this.#listener.fate(message.number, 'failed', 'the server gave it up: expired or purged')
    else this.#listener.fate(message.number, 'delivered')
  }
}
