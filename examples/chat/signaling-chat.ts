// A chat over signaling: messages are sealed to the key that the recipient has announced.
import { createIdentity, createSignalingClient, type SignalingClient } from '../../client/src/index.ts'
import { type Chat, errorText, type Listener, statusAfter } from './chat.ts'

/** The protocol announces who leaves, but not who comes: so we ask this often. */
const DISCOVER_MS = 5_000

export interface SignalingChatOptions {
  readonly url: string
  readonly name: string
  readonly seed: Uint8Array
}

export async function createSignalingChat(
  { url, name, seed }: SignalingChatOptions,
  listener: Listener
): Promise<Chat> {
  const client = createSignalingClient({ url, clientId: name, identity: await createIdentity({ seed }) })
  const numbers = new Map<string, number>()
  const here = new Set<string>()
  let timer: NodeJS.Timeout | undefined

  const present = async () => (await client.discover()).filter((peer) => peer !== name)
  const updatePresence = async () => {
    const peers = new Set(await present())
    for (const peer of peers) if (!here.has(peer)) listener.presence(peer, true)
    for (const peer of here) if (!peers.has(peer)) listener.presence(peer, false)
    here.clear()
    for (const peer of peers) here.add(peer)
  }
  // A failure here is a lost connection, which the listener hears of anyway.
  const discoverPeers = () => void updatePresence().catch(() => {})
  listen(client, { listener, numbers, here, discoverPeers })
  return {
    me: name,
    start: async () => {
      await client.connect()
      timer = setInterval(discoverPeers, DISCOVER_MS)
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
  /** The numbers of messages without a status yet, by the client's message id. */
  readonly numbers: Map<string, number>
  readonly listener: Listener
}

/** The server does not confirm a message it delivers at once; its answer to a later request shows that it did. */
async function send(client: SignalingClient, { number, to, text, numbers, listener }: Sending): Promise<void> {
  let messageId: string | undefined
  try {
    messageId = await client.send(to, text)
    numbers.set(messageId, number)
    await client.discover()
    if (numbers.delete(messageId)) listener.status(number, 'sent')
  } catch (error) {
    if (messageId !== undefined && !numbers.delete(messageId)) return // its status was reported
    listener.status(number, messageId === undefined ? 'failed' : statusAfter(error), errorText(error))
  }
}

function listen(
  client: SignalingClient,
  context: { listener: Listener; numbers: Map<string, number>; here: Set<string>; discoverPeers: () => void }
): void {
  const { listener, numbers, here, discoverPeers } = context
  const { events } = client
  const takeNumber = (messageId: string | undefined) => {
    const number = messageId === undefined ? undefined : numbers.get(messageId)
    if (messageId !== undefined) numbers.delete(messageId)
    return number
  }
  events.on('message', ({ from, text, error, queuedAt }) => {
    if (queuedAt === undefined && !here.has(from)) {
      here.add(from) // a live message shows that its sender is connected
      listener.presence(from, true)
    }
    const body = text === undefined ? { problem: error?.message ?? 'it cannot be opened' } : { text }
    listener.message({ from, waited: queuedAt !== undefined, ...body })
  })
  events.on('queued', ({ messageId, targetId }) => {
    const number = takeNumber(messageId)
    if (number !== undefined) listener.status(number, 'queued')
    if (here.delete(targetId)) listener.presence(targetId, false)
  })
  events.on('error', ({ error, messageId }) => {
    const number = takeNumber(messageId)
    if (number === undefined) listener.problem(errorText(error))
    else listener.status(number, 'failed', errorText(error))
  })
  events.on('peerDisconnected', ({ peerId }) => {
    if (here.delete(peerId)) listener.presence(peerId, false)
  })
  events.on('disconnected', ({ code, willReconnect }) =>
    listener.connection(willReconnect ? 'lost' : 'over', `code ${code}`)
  )
  events.on('connected', ({ again }) => {
    if (again) listener.connection('again')
    discoverPeers()
  })
}
