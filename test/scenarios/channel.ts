// How the SDK's channel layer uses L2PS messaging: one signed envelope, sealed once, sent to each member in turn.
// Source: docs/protocol.md, 5.1.
import assert from 'node:assert/strict'
import { verifyAsync } from '@noble/ed25519'
import {
  fromHex,
  type L2psClient,
  type L2psSigner,
  openTextFromSubnet,
  sealForSubnet,
  toHex
} from '../../client/src/index.ts'

/** How far ahead of the next sequence number a receiver keeps envelopes. */
const WINDOW = 256
const SILENCE_MS = 10_000

export interface Envelope {
  channelId: string
  sequence: number
  sender: string
  sentAt: number
  type: string
  body: unknown
  signature: string
}

const utf8 = new TextEncoder()
const signedText = ({ signature: _, ...unsigned }: Envelope) => utf8.encode(JSON.stringify(unsigned))

/** Signs, serialises and encrypts once, then sends to one member after the other; a failure ends the round. */
export async function post(
  client: L2psClient,
  signer: L2psSigner,
  members: readonly string[],
  subnetKey: Uint8Array,
  unsigned: Pick<Envelope, 'channelId' | 'sequence' | 'body'>
): Promise<string[]> {
  const { channelId, sequence, body } = unsigned
  const sender = client.publicKey
  const envelope = { channelId, sequence, sender, sentAt: Date.now(), type: 'message', body, signature: '' }
  envelope.signature = toHex(await signer.sign(signedText(envelope)))
  const encrypted = await sealForSubnet(JSON.stringify(envelope), subnetKey)
  const statuses: string[] = []
  for (const member of members)
    statuses.push((await client.send(member, encrypted, { messageHash: envelope.signature })).status)
  return statuses
}

/** One member's end of a channel: applies envelopes in order, each once. A bad signature or a gap too wide is fatal. */
export class Receiver {
  /** What was applied, oldest first. */
  readonly applied: Envelope[] = []
  /** Sequence numbers as they arrived, and whether they had waited for us. */
  readonly arrivals: { sequence: number; offline: boolean }[] = []
  readonly #waiting = new Map<number, Envelope>()
  #work = Promise.resolve()
  #progress = () => {}

  constructor(client: L2psClient, channelId: string, subnetKey: Uint8Array) {
    client.events.on('message', ({ from, encrypted, messageHash, offline }) => {
      this.#work = this.#work.then(async () => {
        const envelope: Envelope = JSON.parse(await openTextFromSubnet(encrypted, subnetKey))
        if (envelope.channelId !== channelId) return
        assert.deepEqual([envelope.sender, envelope.signature], [from, messageHash])
        assert.equal(messageHash.length, 128)
        assert.ok(await verifyAsync(fromHex(envelope.signature), signedText(envelope), fromHex(from)))
        this.arrivals.push({ sequence: envelope.sequence, offline })
        this.#take(envelope)
      })
      this.#work.then(
        () => this.#progress(),
        () => this.#progress()
      )
    })
  }

  /** Resolves when that many were applied; rejects with what was fatal, or when nothing has come for a while. */
  async complete(count: number): Promise<Envelope[]> {
    for (;;) {
      const heard = this.arrivals.length
      await this.#work
      if (this.applied.length >= count) return this.applied
      if (this.arrivals.length === heard) await this.#nextArrival()
    }
  }

  #nextArrival(): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = () => reject(new Error(`nothing more came after ${this.applied.length} envelopes`))
      const timer = setTimeout(late, SILENCE_MS)
      this.#progress = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #take(envelope: Envelope): void {
    const next = this.applied.length + 1
    if (envelope.sequence < next) return
    assert.ok(envelope.sequence < next + WINDOW, `${envelope.sequence} came while ${next} was awaited`)
    this.#waiting.set(envelope.sequence, envelope)
    for (let sequence = next; this.#waiting.has(sequence); sequence++) {
      this.applied.push(this.#waiting.get(sequence)!)
      this.#waiting.delete(sequence)
    }
  }
}
