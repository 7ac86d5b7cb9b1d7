// A conversation over signaling: names, and messages sealed to the other's ML-KEM-768 key.
import { createIdentity, createSignalingClient, type IncomingMessage, seal } from '../client/src/index.ts'
import { type Content, readContent } from './content.ts'
import { fingerprintOf, type Invitation } from './invitation.ts'
import { recorded, verify } from './proof.ts'
import {
  rememberedPeer,
  rememberPeer,
  type Sent,
  socketHere,
  type Talk,
  type TalkEvents,
  watchConnection
} from './talk.ts'

interface Options {
  readonly name: string
  /** Unique among the peers of the relay. */
  readonly clientId: string
  readonly seed: Uint8Array
  readonly invitation: Extract<Invitation, { via: 'signaling' }> | undefined
}

export async function openSignalingTalk(options: Options, events: TalkEvents): Promise<Talk> {
  const { name, clientId, seed, invitation } = options
  const identity = await createIdentity({ seed })
  let peer = invitation?.peer ?? rememberedPeer(clientId)

  const receive = async ({ from, text, sealed, digest }: IncomingMessage) => {
    const content = text === undefined ? undefined : readContent(text)
    if (content === undefined) return events.problem(`A message of ${from} could not be opened.`)
    if (peer === undefined && content.kind === 'hello') {
      peer = from
      rememberPeer(clientId, from)
    }
    if (from !== peer) return events.problem(`${from} wrote, too; a conversation here is of two.`)
    await events.content(content, { from, to: clientId, sealed: JSON.stringify(sealed), digest })
  }

  const client = createSignalingClient({ url: socketHere('signaling'), clientId, identity, onMessage: receive })
  watchConnection((type, handler) => client.events.on(type, handler), events)
  client.events.on('error', ({ error }) => events.problem(error.message))
  client.events.on('peerDisconnected', ({ peerId }) => peerId === peer && events.status('The other is away'))
  await client.connect()

  /** The key of the peer; when an invitation names it, no other is used. */
  const keyOf = async (to: string): Promise<Uint8Array> => {
    const key = await client.requestPublicKey(to)
    if (invitation !== undefined && (await fingerprintOf(key)) !== invitation.fingerprint) {
      throw new Error('The relay gives another key than the invitation names. Nothing was sent.')
    }
    return key
  }

  const send = async (content: Content): Promise<Sent> => {
    if (peer === undefined) throw new Error('Nobody has come by your invitation yet.')
    const to = peer
    const sealed = await seal(JSON.stringify(content), await keyOf(to))
    const { status, digest } = await client.sendSealedConfirmed(to, sealed)
    return { from: clientId, to, sealed: JSON.stringify(sealed), digest, status }
  }

  return {
    me: clientId,
    via: 'signaling',
    get peer() {
      return peer
    },
    send,
    invitation: async () => ({
      via: 'signaling',
      peer: clientId,
      name,
      fingerprint: await fingerprintOf(identity.publicKey)
    }),
    verify: async ({ from, to, digest = '' }) => {
      const message = { from, to, digest }
      const txHash = await recorded(async () => (await client.requestRecords(message))[0])
      return verify(message, 'signaling', txHash)
    }
  }
}
