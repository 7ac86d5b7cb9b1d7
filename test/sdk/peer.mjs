// A process with one MessagingPeer of the official SDK, told by its parent what to call. (The SDK keeps one identity for
// a process.) Nothing but the public API is used: this is an application of the SDK.
import { WebSocket } from 'ws'
import { unifiedCrypto } from './node_modules/@kynesyslabs/demosdk/build/encryption/unifiedCrypto.js'
import { MessagingPeer } from './node_modules/@kynesyslabs/demosdk/build/instant_messaging/index.js'

/** Node 20 has none; like that of browsers and of later versions, this one takes a turn for each message. */
class OneByOne extends WebSocket {
  constructor(url) {
    super(url, { allowSynchronousEvents: false, perMessageDeflate: false })
  }
}
globalThis.WebSocket = OneByOne
console.log = console.info = () => {} // the SDK writes every message it decrypts

const [serverUrl, clientId, seed] = process.argv.slice(2)
const masterSeed = new Uint8Array(Buffer.from(seed, 'hex'))
for (const algorithm of ['ml-kem-aes', 'ml-dsa']) await unifiedCrypto.generateIdentity(algorithm, masterSeed)
const { publicKey } = await unifiedCrypto.getIdentity('ml-kem-aes')

const peer = new MessagingPeer({ serverUrl, clientId, publicKey })
const tell = (event, value) => process.send({ event, value })
peer.onMessage((message, from) => {
  if (message instanceof Uint8Array) tell('message', { from, text: new TextDecoder().decode(message) })
  else tell('notice', message) // replies, notices and refusals reach the application's handlers, too
})
peer.onServerQuestion((question, questionId) => tell('question', { question, questionId }))
peer.onPeerDisconnected((peerId) => tell('peerDisconnected', peerId))
peer.onConnectionStateChange((state) => tell('state', state))
peer.onError((error) => tell('error', error))

const CALLS = {
  connect: () => peer.connect(),
  disconnect: () => peer.disconnect(),
  discoverPeers: () => peer.discoverPeers(),
  requestPublicKey: async (peerId) => [...(await peer.requestPublicKey(peerId))],
  sendMessage: (peerId, text) => peer.sendMessage(peerId, text),
  /** One call after the other, as fast as they resolve. */
  sendAll: async (peerId, texts) => {
    for (const text of texts) await peer.sendMessage(peerId, text)
  },
  /** The calls of an application that has just connected. */
  connectAndDiscover: async () => {
    await peer.connect()
    return peer.discoverPeers()
  },
  respondToServer: (questionId, response) => peer.respondToServer(questionId, response),
  askForQuestion: () => peer.sendToServerAndWait({ type: 'debug_question', payload: {} }, 'server_question'),
  publicKey: () => [...publicKey]
}

process.on('message', async ({ call, name, args }) => {
  try {
    process.send({ call, value: await CALLS[name](...args) })
  } catch (error) {
    process.send({ call, error: error?.message ?? String(error) })
  }
})
process.on('disconnect', () => process.exit())
tell('ready')
