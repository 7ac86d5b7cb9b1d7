import type { BenchPeer, Kind, MessageTemplate, Protocol } from '../protocols/protocol.ts'
import { numberIn } from '../protocols/stamped.ts'
import type { Joined } from './joined.ts'
import { nothingYet, type Verification } from './verification.ts'

/**
 * Numbered messages from one peer to another. Every one that arrives is checked: its place in the order, and each byte
 * of its body. Every one that is confirmed is counted.
 */
export class Flow {
  readonly recipient: BenchPeer
  readonly result: Verification = nothingYet()
  /** Confirmed by the server: delivered or stored. */
  confirmed = 0
  /** Something arrived or was confirmed. */
  onProgress: (flow: Flow) => void = () => {}
  /** A message with this number arrived. */
  onArrival: (number: number) => void = () => {}
  readonly #protocol: Protocol
  readonly #template: MessageTemplate
  readonly #missing = new Set<number>()
  #sender: Joined | undefined
  #expected = 0
  #bodyAt = -1

  constructor(protocol: Protocol, from: BenchPeer, to: BenchPeer, bodyBytes: number) {
    this.#protocol = protocol
    this.recipient = to
    this.#template = protocol.template(from, to, bodyBytes)
  }

  /** From now on this socket sends, and hears the confirmations. */
  sendFrom(sender: Joined): void {
    this.#sender = sender
    sender.hear = this.hearAsSender
  }

  send(): void {
    this.#sender!.send(this.#template.frame.with(this.result.sent))
    this.result.sent += 1
  }

  /** Messages that have not arrived yet. */
  get onTheirWay(): number {
    return this.result.sent - this.result.received
  }

  readonly hearAsSender = (frame: Buffer): void => {
    const kind = this.#protocol.kindOf(frame)
    if (kind === 'accepted' || kind === 'queued') {
      const number = numberIn(frame)
      if (number !== -1 && number !== this.confirmed) this.result.misconfirmed += 1
      this.confirmed += 1
      this.onProgress(this)
    } else this.#unexpected(kind, frame)
  }

  readonly hearAsRecipient = (frame: Buffer): void => {
    const kind = this.#protocol.kindOf(frame)
    if (kind !== 'delivery') this.#unexpected(kind, frame)
    else {
      const number = numberIn(frame)
      this.#check(number, frame)
      this.onArrival(number)
      this.onProgress(this)
    }
  }

  /** Ends the count: what is missing now is lost. */
  finish(expectConfirmations: boolean): Verification {
    this.result.lost = this.#missing.size + (this.result.sent - this.#expected)
    if (expectConfirmations) this.result.misconfirmed += Math.abs(this.result.sent - this.confirmed)
    return this.result
  }

  #check(number: number, frame: Buffer): void {
    this.result.received += 1
    if (number === this.#expected) this.#expected += 1
    else if (number > this.#expected && number < this.result.sent) {
      for (let gap = this.#expected; gap < number; gap++) this.#missing.add(gap)
      this.#expected = number + 1
    } else if (this.#missing.delete(number)) this.result.reordered += 1
    else this.result.twice += 1
    if (!this.#holdsBody(number, frame)) this.result.altered += 1
  }

  #holdsBody(number: number, frame: Buffer): boolean {
    const body = this.#template.sealed.with(number)
    if (this.#bodyAt !== -1 && frame.compare(body, 0, body.length, this.#bodyAt, this.#bodyAt + body.length) === 0) {
      return true
    }
    this.#bodyAt = frame.indexOf(body)
    return this.#bodyAt !== -1
  }

  #unexpected(kind: Kind, frame: Buffer): void {
    if (kind === 'other') return // a peer came or left
    if (this.result.refused === 0) process.stderr.write(`bench: unexpected ${frame.toString('utf8', 0, 300)}\n`)
    this.result.refused += 1
    this.onProgress(this)
  }
}
