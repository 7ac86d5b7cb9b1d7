// A stand-in for the MessagingPeer of the official SDK, with its way of waiting for answers (docs/protocol.md, 3).
import type { TestContext } from 'node:test'
import { WebSocket } from 'ws'
import type { Identity } from '../../client/src/identity.ts'
import { open, seal } from '../../client/src/sealed.ts'
import type { ReceivedFrame } from '../helpers/inbox.ts'
import { registerFrame } from '../helpers/peer.ts'
import { within } from '../helpers/wait.ts'

/** How long a call waits for its answer, in ms. */
const REPLY_MS = 10_000

export class OfficialClient {
  /** The texts of the messages that came, oldest first; each is opened by itself. */
  readonly received: Promise<string>[] = []
  /** Whom it sent messages to that were stored, oldest first. */
  readonly queuedFor: string[] = []
  readonly #ws: WebSocket
  readonly #identity: Identity
  #waiting: ((frame: ReceivedFrame) => void)[] = []

  private constructor(ws: WebSocket, identity: Identity) {
    this.#ws = ws
    this.#identity = identity
    ws.on('message', (data) => void this.#handle(JSON.parse(String(data))))
  }

  /** Connects and registers; the socket is cut after the test. */
  static async connect(t: TestContext, url: string, clientId: string, identity: Identity): Promise<OfficialClient> {
    const ws = new WebSocket(url, { perMessageDeflate: false })
    t.after(() => ws.terminate())
    const client = new OfficialClient(ws, identity)
    const frame = await registerFrame(clientId, identity)
    await within<void>(REPLY_MS, 'Connection timeout', (resolve, reject) => {
      ws.once('open', resolve)
      ws.once('error', reject)
    })
    await client.#call(frame, 'register')
    return client
  }

  /** Resolves when the message is sent: nobody waits for what became of it. */
  async sendMessage(targetId: string, text: string): Promise<void> {
    const isOfTarget = ({ payload }: ReceivedFrame) => payload.peerId === targetId
    const request = { type: 'request_public_key', payload: { targetId } }
    const { publicKey } = await this.#call(request, 'public_key_response', isOfTarget)
    const message = await seal(text, Uint8Array.from(publicKey))
    this.#ws.send(JSON.stringify({ type: 'message', payload: { targetId, message } }))
  }

  async discoverPeers(): Promise<string[]> {
    return (await this.#call({ type: 'discover', payload: {} }, 'discover')).peers
  }

  /** The next frame that is dispatched ends the waiting, whatever it is: the answer, an error, or neither and a timeout. */
  #call(frame: object, type: string, fits = (_: ReceivedFrame) => true): Promise<ReceivedFrame['payload']> {
    this.#ws.send(JSON.stringify(frame))
    return within(REPLY_MS, `Timeout waiting for response of type: ${type}`, (resolve, reject) => {
      this.#waiting.push((heard) => {
        if (heard.type === type && fits(heard)) resolve(heard.payload)
        else if (heard.type === 'error') reject(new Error(heard.payload.details))
      })
    })
  }

  async #handle(frame: ReceivedFrame): Promise<void> {
    if (frame.type === 'peer_disconnected') return // has handlers of its own
    if (frame.type === 'message') {
      const opened = open(frame.payload.message, this.#identity.secretKey)
      this.received.push(opened)
      await opened // only then the handlers hear of it
    }
    if (frame.type === 'message_queued') this.queuedFor.push(frame.payload.targetId)
    for (const heard of this.#waiting.splice(0)) heard(frame)
  }
}
