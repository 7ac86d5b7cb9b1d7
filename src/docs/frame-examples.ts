// A frame of each type, as it goes over the wire. Keys and signatures are of the right form and of no peer.

const NOW = 1_767_268_800_000
const [ANN, BEN] = ['5a'.repeat(32), 'c3'.repeat(32)]
const SIGNATURE = '4f'.repeat(64)
const BASE64_KEY = Buffer.from(ANN, 'hex').toString('base64')
const SEALED = { ciphertext: 'q83vASNFZ4k=', nonce: 'AAECAwQFBgcICQoL' }
const HASH = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const QUESTION = '0b52be3c-6f4c-4fd0-9d1a-6e4c9c0f2f11'

type Examples = Readonly<Record<string, object>>

const signalingClient: Examples = {
  register: {
    clientId: 'ann',
    publicKey: [...Buffer.from(BEN, 'hex')],
    verification: {
      algorithm: 'ed25519',
      serializedSignedData: Buffer.from(SIGNATURE, 'hex').toString('base64'),
      serializedPublicKey: BASE64_KEY,
      serializedMessage: Buffer.from(BEN, 'hex').toString('base64')
    },
    features: ['ack']
  },
  challenge: { origin: 'wss://relay.example' },
  discover: {},
  message: { targetId: 'ben', message: SEALED },
  request_public_key: { targetId: 'ben' },
  request_record: { fromId: 'ann', targetId: 'ben', digest: HASH },
  debug_question: {},
  ack: { seq: 42 },
  peer_response: { questionId: QUESTION, response: 'yes' }
}

const signalingServer: Examples = {
  register: { success: true, clientId: 'ann' },
  challenge: { nonce: HASH, time: NOW, seconds: 60 },
  discover: { peers: ['ann', 'ben'] },
  message: { message: SEALED, fromId: 'ann', timestamp: NOW, seq: 42 },
  message_queued: { targetId: 'ben', status: 'offline', message: 'Message stored for offline delivery' },
  public_key_response: { peerId: 'ben', publicKey: [...Buffer.from(BEN, 'hex')] },
  record_response: { fromId: 'ann', targetId: 'ben', digest: HASH, records: [ANN] },
  peer_disconnected: { peerId: 'ben' },
  server_question: { questionId: QUESTION, question: { text: 'Are you there?' } },
  error: { errorType: 'PEER_NOT_FOUND', details: 'Peer not found', timestamp: new Date(NOW).toISOString() }
}

const l2psClient: Examples = {
  register: { publicKey: ANN, l2psUid: 'team', proof: SIGNATURE, features: ['ack'] },
  send: { to: BEN, encrypted: SEALED, messageHash: HASH },
  history: { peerKey: BEN, before: NOW, limit: 50, proof: SIGNATURE },
  discover: {},
  request_public_key: { targetId: BEN },
  ack: { seq: 42 }
}

const l2psServer: Examples = {
  registered: { success: true, publicKey: ANN, l2psUid: 'team', onlinePeers: [BEN] },
  message: { from: ANN, encrypted: SEALED, messageHash: HASH, offline: true, seq: 42 },
  message_sent: { messageHash: HASH, l2psStatus: 'submitted' },
  message_queued: { messageHash: HASH, status: 'queued' },
  history_response: {
    messages: [
      {
        ...{ id: QUESTION, from: ANN, to: BEN, messageHash: HASH, encrypted: SEALED, l2psUid: 'team' },
        ...{ l2psTxHash: HASH, timestamp: NOW, status: 'l2ps_batched' }
      }
    ],
    hasMore: false
  },
  discover_response: { peers: [ANN, BEN] },
  public_key_response: { targetId: BEN, publicKey: BEN },
  peer_joined: { publicKey: BEN },
  peer_left: { publicKey: BEN },
  error: { code: 'L2PS_NOT_FOUND', message: 'There is no such network' }
}

const EXAMPLES = {
  signaling: { client: signalingClient, server: signalingServer },
  l2ps: { client: l2psClient, server: l2psServer }
} as const

/** Server frames that answer no request: they carry no requestId. */
const PUSHES = new Set(['message', 'peer_joined', 'peer_left'])

/** The whole frame; throws for a type that has no example. */
export function exampleOf(protocol: 'signaling' | 'l2ps', from: 'client' | 'server', type: string): object {
  const payload = EXAMPLES[protocol][from][type]
  if (payload === undefined) throw new Error(`no example of the ${protocol} frame ${type}`)
  if (protocol === 'signaling') return { type, payload }
  const isPush = from === 'server' && PUSHES.has(type)
  return { type, payload, timestamp: NOW, ...(isPush ? {} : { requestId: '7' }) }
}
