// A conversation in an L2PS network: keys as names, one key that seals for both, and a proof of each message.
import {
  type Bytes,
  createEd25519Signer,
  createL2psClient,
  hashOf,
  type L2psClient,
  openTextFromSubnet,
  type SubnetMessage,
  sealForSubnet,
  toHex
} from '../client/src/index.ts'
import { type Content, readContent } from './content.ts'
import type { Invitation } from './invitation.ts'
import { recorded, verify } from './proof.ts'
import {
  rememberedPeer,
  rememberPeer,
  type Seen,
  type Sent,
  socketHere,
  type Talk,
  type TalkEvents,
  watchConnection
} from './talk.ts'

interface Options {
  readonly name: string
  readonly network: string
  /** 32 bytes: of the signing key. */
  readonly seed: Uint8Array
  readonly subnetKey: Bytes
  readonly invitation: Extract<Invitation, { via: 'l2ps' }> | undefined
}

export async function openL2psTalk(options: Options, events: TalkEvents): Promise<Talk> {
  const { name, network, subnetKey, invitation } = options
  const signer = await createEd25519Signer(options.seed)
  const me = toHex(signer.signingPublicKey)
  let peer = invitation?.peer ?? rememberedPeer(me)

  const receive = async ({ from, encrypted, messageHash }: SubnetMessage) => {
    const text = await openTextFromSubnet(encrypted, subnetKey).catch(() => '')
    const content = readContent(text)
    if (content === undefined) return events.problem('A message was sealed with another key, and could not be opened.')
    if (peer === undefined && content.kind === 'hello') {
      peer = from
      rememberPeer(me, from)
    }
    if (from !== peer) return events.problem('Somebody else wrote, too; a conversation here is of two.')
    await events.content(content, { from, to: me, sealed: JSON.stringify(encrypted), messageHash })
  }

  const client = createL2psClient({ url: socketHere('l2ps'), l2psUid: network, signer, onMessage: receive })
  watchConnection((type, handler) => client.events.on(type, handler), events)
  client.events.on('error', ({ error }) => events.problem(error.message))
  client.events.on('peerLeft', ({ publicKey }) => publicKey === peer && events.status('The other is away'))
  client.events.on('peerJoined', ({ publicKey }) => publicKey === peer && events.status('Connected'))
  await client.connect()

  const send = async (content: Content): Promise<Sent> => {
    if (peer === undefined) throw new Error('Nobody has come by your invitation yet.')
    const to = peer
    const encrypted = await sealForSubnet(JSON.stringify(content), subnetKey)
    const messageHash = await hashOf(encrypted)
    const { status } = await client.send(to, encrypted, { messageHash })
    return { from: me, to, sealed: JSON.stringify(encrypted), messageHash, status }
  }

  return {
    me,
    via: 'l2ps',
    get peer() {
      return peer
    },
    send,
    invitation: async () => ({ via: 'l2ps', peer: me, name, network, subnetKey }),
    verify: (seen) => verifyMessage(client, seen)
  }
}

/** History names the record of a message once a signed log has it. */
async function verifyMessage(client: L2psClient, { from, to, messageHash }: Seen): Promise<string> {
  const other = from === client.publicKey ? to : from
  const message = await recorded(async () => {
    for await (const message of client.historyOf(other)) {
      if (message.messageHash === messageHash) return message.l2psTxHash === null ? undefined : message
    }
    return undefined
  })
  return verify(message, message.l2psUid, message.l2psTxHash!)
}
