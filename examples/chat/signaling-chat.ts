import { createIdentity } from '../../client/src/identity.ts'
import { createSignalingClient, type SignalingClient } from '../../client/src/signaling.ts'
import { type Chat, fateOf, type Listener, sentence } from './chat.ts'

/** The protocol tells who leaves, but not who comes: we look so often. */
const LOOK_MS = 5_000

export interface SignalingChatOptions {
  readonly url: string
  readonly name: string
  readonly seed: Uint8Array
}

/** A chat over signaling: sealed to the key that the other has announced. */
export async function createSignalingChat(
  { url, name, seed }: SignalingChatOptions,
  listener: Listener
): Promise<Chat> {
  const client = createSignalingClient({ url, clientId: name, identity: await createIdentity({ seed }) })
  const numbers = new Map<string, number>()
  const here = new Set<string>()
  let timer: NodeJS.Timeout | undefined

  const present = async () => (await client.discover()).filter((peer) => peer !== name)
  const look = async () => {
    const peers = new Set(await present())
    for (const peer of peers) if (!here.has(peer)) listener.presence(peer, true)
    for (const peer of here) if (!peers.has(peer)) listener.presence(peer, false)
    here.clear()
    for (const peer of peers) here.add(peer)
  }
  const lookQuietly = () => void look().catch(() => {}) // a lost connection is told by itself
  listen(client, { listener, numbers, here, lookQuietly })
  return {
    me: name,
    start: async () => {
      await client.connect()
      timer = setInterval(lookQuietly, LOOK_MS)
    },
    send: (number, to, text) => send(client, { number, to, text, numbers, listener }),
    present,
    close: async () => {
      clearInterval(timer)
      await client.close()
    }
  }
}

interface Sending {
  readonly number: number
  readonly to: string
  readonly text: string
  /** Of messages whose fate is not known yet, by the client's ids. */
  readonly numbers: Map<string, number>
  readonly listener: Listener
}

/** The server says nothing to a message it handed over at once: the answer to a later question shows that it did. */
async function send(client: SignalingClient, { number, to, text, numbers, listener }: Sending): Promise<void> {
  let messageId: string | undefined
  try {
    messageId = await client.send(to, text)
    numbers.set(messageId, number)
    await client.discover()
    if (numbers.delete(messageId)) listener.fate(number, 'sent')
  } catch (error) {
    if (messageId !== undefined && !numbers.delete(messageId)) return // its fate was told
    listener.fate(number, messageId === undefined ? 'failed' : fateOf(error), sentence(error))
  }
}

function listen(
  client: SignalingClient,
  context: { listener: Listener; numbers: Map<string, number>; here: Set<string>; lookQuietly: () => void }
): void {
  const { listener, numbers, here, lookQuietly } = context
  const { events } = client
  const take = (messageId: string | undefined) => {
    const number = messageId === undefined ? undefined : numbers.get(messageId)
    if (messageId !== undefined) numbers.delete(messageId)
    return number
  }
  events.on('message', ({ from, text, error, queuedAt }) => {
    if (queuedAt === undefined && !here.has(from)) {
      here.add(from) // whoever writes is here
      listener.presence(from, true)
    }
    const body = text === undefined ? { problem: error?.message ?? 'it cannot be opened' } : { text }
    listener.message({ from, waited: queuedAt !== undefined, ...body })
  })
  events.on('queued', ({ messageId, targetId }) => {
    const number = take(messageId)
    if (number !== undefined) listener.fate(number, 'queued')
    if (here.delete(targetId)) listener.presence(targetId, false)
  })
  events.on('error', ({ error, messageId }) => {
    const number = take(messageId)
    if (number === undefined) listener.problem(sentence(error))
    else listener.fate(number, 'failed', sentence(error))
  })
  events.on('peerDisconnected', ({ peerId }) => {
    if (here.delete(peerId)) listener.presence(peerId, false)
  })
  events.on('disconnected', ({ code, willReconnect }) =>
    listener.connection(willReconnect ? 'lost' : 'over', `code ${code}`)
  )
  events.on('connected', ({ again }) => {
    if (again) listener.connection('again')
    lookQuietly()
  })
}
