// A WebRTC connection between the two browsers. The relay carries its negotiation as sealed messages.
import type { Signal } from './content.ts'

export type DirectState = 'connecting' | 'open' | 'failed'

export interface DirectEvents {
  signal(signal: Signal): void
  state(state: DirectState): void
  /** A text, or bytes, on the data channel. */
  data(data: string | ArrayBuffer): void
  stream(stream: MediaStream): void
}

/** How long a connection may take; after that it has failed. */
const CONNECT_MS = 10_000
/** Sending pauses while more than this waits in the channel. */
const BUFFERED_BYTES = 1_048_576

/**
 * connecting --the channel opens--> open --the channel closes--> failed
 * connecting --10 s, or the browser gives up--> failed
 *
 * Both ends may offer at any time: of two offers that cross, that of the polite end is taken back.
 */
export class Direct {
  readonly #peer = new RTCPeerConnection() // asks no STUN server: candidates of the host only
  readonly #channel = this.#peer.createDataChannel('files', { negotiated: true, id: 0 })
  readonly #events: DirectEvents
  readonly #isPolite: boolean
  readonly #timer: ReturnType<typeof setTimeout>
  #state: DirectState = 'connecting'
  #isOffering = false
  #ignoresOffer = false

  constructor(isPolite: boolean, events: DirectEvents) {
    this.#isPolite = isPolite
    this.#events = events
    this.#timer = setTimeout(() => this.#state === 'connecting' && this.#fail(), CONNECT_MS)
    this.#channel.binaryType = 'arraybuffer'
    this.#channel.bufferedAmountLowThreshold = BUFFERED_BYTES / 2
    this.#channel.onopen = () => this.#become('open')
    this.#channel.onclose = () => this.#fail()
    this.#channel.onmessage = ({ data }) => events.data(data)
    this.#peer.onnegotiationneeded = () => void this.#offer()
    this.#peer.onicecandidate = ({ candidate }) => candidate && events.signal({ candidate: candidate.toJSON() })
    this.#peer.onconnectionstatechange = () => this.#peer.connectionState === 'failed' && this.#fail()
    this.#peer.ontrack = ({ streams: [stream] }) => stream && events.stream(stream)
    events.state('connecting')
  }

  get state(): DirectState {
    return this.#state
  }

  /** Takes what the other end said; in the order in which it was said. */
  async take({ description, candidate }: Signal): Promise<void> {
    if (this.#state === 'failed') return
    if (description) return this.#describe(description)
    if (!candidate) return
    await this.#peer.addIceCandidate(candidate).catch((error) => {
      if (!this.#ignoresOffer) throw error
    })
  }

  share(stream: MediaStream): void {
    for (const track of stream.getTracks()) this.#peer.addTrack(track, stream)
  }

  /** Resolves when there is room for more; rejects when the connection is lost. */
  async send(data: string | Uint8Array<ArrayBuffer>): Promise<void> {
    while (this.#state === 'open' && this.#channel.bufferedAmount > BUFFERED_BYTES) await this.#hasRoom()
    if (this.#state !== 'open') throw new Error('The direct connection is lost.')
    if (typeof data === 'string') this.#channel.send(data)
    else this.#channel.send(data)
  }

  #hasRoom(): Promise<void> {
    return new Promise((resolve) => {
      this.#channel.addEventListener('bufferedamountlow', () => resolve(), { once: true })
      this.#channel.addEventListener('close', () => resolve(), { once: true })
    })
  }

  async #offer(): Promise<void> {
    this.#isOffering = true
    try {
      await this.#peer.setLocalDescription()
      this.#describeUs()
    } finally {
      this.#isOffering = false
    }
  }

  async #describe(description: RTCSessionDescriptionInit): Promise<void> {
    const collides = description.type === 'offer' && (this.#isOffering || this.#peer.signalingState !== 'stable')
    this.#ignoresOffer = collides && !this.#isPolite
    if (this.#ignoresOffer) return
    await this.#peer.setRemoteDescription(description)
    if (description.type !== 'offer') return
    await this.#peer.setLocalDescription()
    this.#describeUs()
  }

  #describeUs(): void {
    const description = this.#peer.localDescription
    if (description) this.#events.signal({ description: description.toJSON() })
  }

  #fail(): void {
    if (this.#state === 'failed') return
    this.#become('failed')
    this.#peer.close()
  }

  #become(state: DirectState): void {
    clearTimeout(this.#timer)
    this.#state = state
    this.#events.state(state)
  }
}
