// The room of two: what comes in and what is said, files and pictures, on the page.
import type { Content } from './content.ts'
import { Direct, type DirectState } from './direct.ts'
import { byId, element, number, qrCode } from './dom.ts'
import { Incoming, type ReceivedFile, sendFile } from './files.ts'
import { linkOf } from './invitation.ts'
import { Log } from './log.ts'
import { movingPicture } from './picture.ts'
import type { Seen, Sent, Talk, TalkEvents } from './talk.ts'

const STATES: Readonly<Record<DirectState, string>> = {
  connecting: 'Connecting …',
  open: 'Connected directly, browser to browser',
  failed: 'No direct connection: files take the relay'
}

const ALONE = 'Nobody is here yet: send somebody the link.'
const OUTCOMES = { sent: 'the relay has it', queued: 'kept by the relay until the other is back' } as const

const SEEN_OF_FILES = {
  directly: 'Nothing: it went from browser to browser.',
  'through the relay': 'The file in sealed pieces, each a message like the others.'
} as const

export class Room implements TalkEvents {
  readonly #name: string
  readonly #receipts = new Map<string, () => void>()
  readonly #incoming = new Incoming((file) => this.#showFile(file))
  /** What comes before the page is ready waits for it. */
  readonly #opened: Promise<void>
  #open = () => {}
  #talk: Talk | undefined
  readonly #log = new Log(byId('log'), (seen) => this.#talk!.verify(seen))
  #direct: Direct | undefined
  /** One message after the other, so that they keep their order. */
  #sending: Promise<unknown> = Promise.resolve()
  #seen = { messages: 0, bytes: 0 }
  #other = 'the other'

  constructor(name: string) {
    this.#name = name
    this.#opened = new Promise((resolve) => {
      this.#open = resolve
    })
  }

  /** `other`: who invited us, by name. */
  async open(talk: Talk, other: string | undefined): Promise<void> {
    this.#talk = talk
    byId('start').hidden = true
    byId('room').hidden = false
    byId('say').addEventListener('submit', (event) => {
      event.preventDefault()
      this.#say()
    })
    byId('open-direct').onclick = () => this.#openDirect()
    byId('picture').onclick = () => this.#sharePicture()
    byId<HTMLInputElement>('file').onchange = () => void this.#sendFile()
    await this.#invite(talk)
    this.#open()
    if (talk.peer === undefined) return this.#log.note(ALONE)
    this.met(other ?? 'the other')
    await this.#send({ kind: 'hello', name: this.#name }).catch((error) => this.problem(error.message))
  }

  met(name: string): void {
    this.#other = name
    byId('invitation').hidden = true
    byId<HTMLButtonElement>('open-direct').disabled = false
    byId<HTMLInputElement>('file').disabled = false
    byId('text').focus()
    this.#log.note(`You talk with ${name}.`)
  }

  status(sentence: string): void {
    byId('status').textContent = sentence === 'Connected' ? `Connected as ${this.#name}` : sentence
  }

  problem(sentence: string): void {
    this.#log.note(sentence)
  }

  async content(content: Content, seen: Seen): Promise<void> {
    await this.#opened
    this.#count(seen)
    if (content.kind === 'hello') this.met(content.name)
    if (content.kind === 'text') this.#hear(content.id, content.text, seen)
    if (content.kind === 'receipt') this.#receipts.get(content.id)?.()
    if (content.kind === 'file') await this.#incoming.start(content, 'through the relay')
    if (content.kind === 'chunk') await this.#incoming.chunk(content)
    if (content.kind !== 'signal') return
    const isNew = content.signal.description?.type === 'offer' && !this.#isDirect()
    const direct = isNew ? this.#makeDirect() : this.#direct
    await direct?.take(content.signal)
  }

  #hear(id: string, text: string, seen: Seen): void {
    this.#log.message('theirs', text, `${this.#other}, ${clock()}`).relay(seen)
    void this.#send({ kind: 'receipt', id })
  }

  #say(): void {
    const field = byId<HTMLInputElement>('text')
    const text = field.value.trim()
    if (text === '') return
    if (this.#talk?.peer === undefined) {
      this.problem(ALONE)
      return
    }
    field.value = ''
    const id = crypto.randomUUID()
    const at = clock()
    const entry = this.#log.message('mine', text, `you, ${at}: sending`)
    let isReceived = false
    this.#receipts.set(id, () => {
      isReceived = true
      this.#receipts.delete(id)
      entry.meta(`you, ${at}: received`)
    })
    this.#send({ kind: 'text', id, text }).then(
      (sent) => {
        if (!isReceived) entry.meta(`you, ${at}: ${OUTCOMES[sent.status]}`)
        entry.relay(sent)
      },
      (error) => entry.meta(`you, ${at}: not sent. ${error.message}`)
    )
  }

  #send(content: Content): Promise<Sent> {
    const sent = this.#sending.then(() => this.#talk!.send(content))
    this.#sending = sent.catch(() => {})
    sent.then(
      (seen) => this.#count(seen),
      () => {}
    )
    return sent
  }

  #count({ sealed }: Seen): void {
    this.#seen.messages += 1
    this.#seen.bytes += sealed.length
    const { messages, bytes } = this.#seen
    byId('total').textContent =
      `The relay has seen ${number(messages)} sealed messages with ${number(bytes)} bytes, receipts and connection offers among them. It can read none of them.`
  }

  async #invite(talk: Talk): Promise<void> {
    const link = linkOf(await talk.invitation(), location.href)
    byId<HTMLInputElement>('link').value = link
    byId('qr').replaceChildren(qrCode(link, 'The link as a QR code'))
    byId('copy').onclick = async () => {
      byId<HTMLInputElement>('link').select()
      await navigator.clipboard.writeText(link).catch(() => document.execCommand('copy'))
      byId('copy').textContent = 'Copied'
    }
  }

  #isDirect(): boolean {
    return this.#direct !== undefined && this.#direct.state !== 'failed'
  }

  #openDirect(): void {
    if (!this.#isDirect()) this.#makeDirect()
  }

  #makeDirect(): Direct {
    const { me, peer } = this.#talk!
    const direct = new Direct(me < peer!, {
      signal: (signal) => void this.#send({ kind: 'signal', signal }).catch(() => {}),
      state: (state) => this.#showState(state),
      data: (data) => void this.#takeData(data),
      stream: (stream) => {
        const video = byId<HTMLVideoElement>('video')
        video.srcObject = stream
        video.hidden = false
      }
    })
    this.#direct = direct
    return direct
  }

  #sharePicture(): void {
    this.#direct?.share(movingPicture(this.#name))
    byId<HTMLButtonElement>('picture').disabled = true
    byId('direct-state').textContent = `${STATES.open}. You share a moving picture.`
  }

  async #takeData(data: string | ArrayBuffer): Promise<void> {
    if (typeof data !== 'string') return this.#incoming.piece(new Uint8Array(data))
    const start = JSON.parse(data) as Content
    if (start.kind === 'file') await this.#incoming.start(start, 'directly')
  }

  #showState(state: DirectState): void {
    const line = byId('direct-state')
    line.textContent = STATES[state]
    line.className = state === 'open' ? 'good' : ''
    byId<HTMLButtonElement>('open-direct').disabled = state !== 'failed'
    byId<HTMLButtonElement>('picture').disabled = state !== 'open'
    if (state === 'failed') byId('video').hidden = true
  }

  async #sendFile(): Promise<void> {
    const input = byId<HTMLInputElement>('file')
    const [file] = input.files ?? []
    if (file === undefined) return
    const bar = byId<HTMLProgressElement>('progress')
    const show = (share: number) => {
      bar.value = share
    }
    const entry = this.#log.message('mine', `File ${file.name}, ${number(file.size)} bytes`, 'sending')
    input.disabled = true
    bar.hidden = false
    try {
      const way = await sendFile(file, this.#direct, (content) => this.#send(content), show)
      entry.meta(`sent ${way}, ${clock()}`)
      entry.relay(SEEN_OF_FILES[way])
    } catch (error) {
      entry.meta(`not sent. ${(error as Error).message}`)
    } finally {
      input.value = ''
      input.disabled = false
      bar.hidden = true
    }
  }

  #showFile({ name, blob, sha256, way }: ReceivedFile): void {
    const link = element('a', '', `File ${name}, ${number(blob.size)} bytes`)
    link.href = URL.createObjectURL(blob)
    link.download = name
    this.#log
      .message('theirs', link, `came ${way}, ${clock()}; SHA-256 ${sha256.slice(0, 16)}…`)
      .relay(SEEN_OF_FILES[way])
  }
}

const clock = (): string => new Date().toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' })
