/**
 * A Demos node for tests: answers as the captured exchange in test/vectors/rpc-submission.json does, keeps a ledger of
 * its own, really checks hashes, signatures, headers and nonces, and misbehaves when it is told to.
 */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { atEnd } from '../../helpers/at-end.ts'
import { checkAuthentication, checkTransaction, type WireTransaction } from './fake-node-checks.ts'

export interface SeenRequest {
  readonly headers: NodeJS.Dict<string | string[]>
  /** The text as it arrived. */
  readonly body: string
  /** `getAddressNonce`, `confirmTx` … */
  readonly call: string
}

/** One misbehaviour, instead of or after the proper answer. */
export type Fault =
  | { kind: 'status'; status: number; headers?: Record<string, string>; body?: unknown }
  | { kind: 'reset' } // before anything is done
  | { kind: 'reset mid-reply' } // after it was done
  | { kind: 'slow'; ms: number }
  | { kind: 'text'; text: string } // instead of JSON
  | { kind: 'huge'; bytes: number }
  | { kind: 'reply'; reply: unknown }
  | { kind: 'crash after accepting' } // does it, says nothing, answers nobody until `restart()`

export interface FakeNode {
  readonly url: string
  readonly requests: SeenRequest[]
  /** Which fault the next request meets, if any. */
  fault: (request: SeenRequest) => Fault | undefined
  readonly ledger: Ledger
  readonly calls: () => string[]
  restart(): void
}

interface Envelope {
  result: number
  response: unknown
  require_reply: boolean
  extra: unknown
}

const SETTLED = { require_reply: false, extra: '' as unknown }

/** 1 DEM in OS. */
const PRICE = 1_000_000_000n

export class Ledger {
  /** Spent in OS, whatever the denomination on the wire. */
  balance = 10_000n * PRICE
  osDenomination = false
  networkFee: number | undefined = 1
  rpcFee: number | undefined = 0
  height = 11
  /** Transactions in blocks, in order. */
  readonly included: { transaction: WireTransaction; block: number }[] = []
  mempool: WireTransaction[] = []
  readonly failed = new Set<string>()
  /** How many of its latest transactions getAddressNonce has not noticed yet. */
  nonceLag = 0
  /** Whether nonces have to be exactly the next one (the nonceEnforcement fork). */
  enforcesNonces = true
  /** A block after this many status questions; 0: only when `mine` is called. */
  mineEvery = 1
  /** Transactions of the account that came from elsewhere. */
  foreign = 0
  #questions = 0

  asked(): void {
    if (this.mineEvery > 0 && ++this.#questions % this.mineEvery === 0) this.mine()
  }

  /** The chain refuses what waits, at no cost. */
  fail(): void {
    for (const { hash } of this.mempool) this.failed.add(hash)
    this.mempool = []
  }

  /** What waits goes into the next block, in order of nonces: one too low fails, one too high waits on. */
  mine(): void {
    this.height++
    const waiting = this.mempool.toSorted((one, other) => one.content.nonce - other.content.nonce)
    this.mempool = []
    for (const transaction of waiting) {
      const { nonce } = transaction.content
      if (this.enforcesNonces && nonce <= this.nonce) this.failed.add(transaction.hash)
      else if (this.enforcesNonces && nonce > this.nonce + 1) this.mempool.push(transaction)
      else {
        this.balance -= PRICE
        this.included.push({ transaction, block: this.height })
      }
    }
  }

  get nonce(): number {
    return this.included.length + this.foreign
  }

  stateOf(hash: string): { state: string; blockNumber?: number } {
    const found = this.included.find(({ transaction }) => transaction.hash === hash)
    if (found) return { state: 'included', blockNumber: found.block }
    if (this.mempool.some((each) => each.hash === hash)) return { state: 'pending' } // perhaps once more
    return { state: this.failed.has(hash) ? 'failed' : 'unknown' }
  }

  /** How often each checkpoint is on the chain, by `targetId messageHash`. */
  anchored(): Map<string, number> {
    const counts = new Map<string, number>()
    for (const { transaction } of this.included) {
      const { targetId, messageHash } = transaction.content.data[1].data
      const key = `${targetId} ${messageHash}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    return counts
  }

  /** Why confirmTx finds a transaction invalid, if it does. */
  refusal(transaction: WireTransaction): string | undefined {
    const flaw = checkTransaction(transaction, this)
    if (flaw) return flaw
    if (this.balance < PRICE) return `Insufficient balance: required ${PRICE}, available ${this.balance}`
    const expected = this.nonce + 1 + this.mempool.length
    if (this.enforcesNonces && transaction.content.nonce !== expected) {
      return `[Tx Validation] Invalid nonce: expected ${expected}, got ${transaction.content.nonce}\n`
    }
    return undefined
  }
}

export async function startFakeNode(t: TestContext, clock: () => number = Date.now): Promise<FakeNode> {
  const keys = generateKeyPairSync('ed25519')
  const ledger = new Ledger()
  const requests: SeenRequest[] = []
  let down = false
  const server = createServer((request, response) => void serve(request, response))

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (down) return void request.socket.destroy()
    const seen = readRequest(request, Buffer.concat(chunks).toString())
    requests.push(seen)
    const fault = node.fault(seen)
    if (fault && (await before(fault, response))) return
    const denied = seen.call.endsWith('Tx') ? checkAuthentication(seen, clock()) : undefined
    if (denied) return reply(response, 401, { error: 'Invalid signature', details: denied })
    const answer = answerTo(seen, ledger, keys.privateKey)
    if (fault?.kind === 'crash after accepting') {
      down = true
      response.socket?.destroy()
    } else if (fault?.kind === 'reset mid-reply') {
      const text = JSON.stringify(answer)
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': text.length })
      response.write(text.slice(0, text.length / 2), () => response.socket?.destroy())
    } else reply(response, 200, answer)
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(t, () => {
    server.close()
    server.closeAllConnections()
  })
  const node: FakeNode = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    requests,
    fault: () => undefined,
    ledger,
    calls: () => requests.map(({ call }) => call),
    restart: () => {
      down = false
    }
  }
  return node
}

/** True when the fault was the whole answer. */
async function before(fault: Fault, response: ServerResponse): Promise<boolean> {
  switch (fault.kind) {
    case 'status':
      response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers })
      response.end(fault.body === undefined ? '<html>proxy</html>' : JSON.stringify(fault.body))
      return true
    case 'reset':
      response.socket?.destroy()
      return true
    case 'text':
      response.end(fault.text)
      return true
    case 'huge':
      response.end(`"${'x'.repeat(fault.bytes)}"`)
      return true
    case 'reply':
      reply(response, 200, fault.reply)
      return true
    case 'slow':
      await sleep(fault.ms, undefined, { ref: false })
      return false
    default:
      return false
  }
}

function reply(response: ServerResponse, status: number, answer: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answer))
}

function readRequest(request: IncomingMessage, body: string): SeenRequest {
  const { params } = JSON.parse(body) as { params: { message: string; extra: string }[] }
  return { headers: request.headers, body, call: params[0]?.message || params[0]?.extra || '' }
}

function answerTo({ body, call }: SeenRequest, ledger: Ledger, nodeKey: KeyObject): Envelope {
  const { data } = JSON.parse(body).params[0]
  const says = (response: unknown): Envelope => ({ result: 200, response, ...SETTLED })
  switch (call) {
    case 'getAddressNonce':
      return says(Math.max(0, ledger.nonce - ledger.nonceLag))
    case 'getLastBlockNumber':
      if (ledger.mineEvery > 0) ledger.mine()
      return says(ledger.height)
    case 'getNetworkInfo':
      return says({ forks: { osDenomination: { activated: ledger.osDenomination, currentHeight: ledger.height } } })
    case 'getNetworkParameters':
      if (ledger.networkFee === undefined) return { ...says('Unknown message'), result: 404 }
      return says({ networkFee: ledger.networkFee, rpcFee: ledger.rpcFee, blockTimeMs: 1000 })
    case 'getTransactionStatus': {
      const state = ledger.stateOf(data.hash)
      ledger.asked()
      return says(state)
    }
    case 'confirmTx':
      return { ...says(verdict(data as WireTransaction, ledger, nodeKey)), extra: null }
    case 'broadcastTx':
      return accept(data, ledger, nodeKey)
    default:
      return { ...says('Unknown message'), result: 404 }
  }
}

const hashOf = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex')

function verdict(transaction: WireTransaction, ledger: Ledger, nodeKey: KeyObject): unknown {
  const refusal = ledger.refusal(transaction)
  const data = {
    valid: refusal === undefined,
    reference_block: refusal === undefined ? ledger.height : null,
    message: refusal ?? '[Tx Validation] Transaction signature verified\n',
    gas_operation: null,
    transaction: refusal === undefined ? transaction : null
  }
  return {
    data,
    signature: { type: 'ed25519', data: `0x${sign(null, Buffer.from(hashOf(data)), nodeKey).toString('hex')}` },
    rpc_public_key: refusal === undefined ? { type: 'ed25519', data: '0x11' } : null
  }
}

/** Takes the whole reply of confirmTx back, if it is unchanged, and only for one block. */
function accept(whole: Envelope, ledger: Ledger, nodeKey: KeyObject): Envelope {
  const refuse = (extra: unknown): Envelope => ({ result: 400, response: false, require_reply: false, extra })
  const { data, signature } = whole.response as {
    data: { valid: boolean; reference_block: number; transaction: WireTransaction }
    signature: { data: string }
  }
  const expected = `0x${sign(null, Buffer.from(hashOf(data)), nodeKey).toString('hex')}` // ed25519 is deterministic
  if (whole.result !== 200 || signature.data !== expected) return refuse('Invalid signature')
  if (!data.valid) return refuse('Transaction is not valid')
  if (data.reference_block < ledger.height - 1 || data.reference_block > ledger.height) {
    return refuse('Invalid block reference')
  }
  const { hash } = data.transaction
  const { state } = ledger.stateOf(hash)
  if (state === 'pending') return refuse('Transaction already in mempool')
  if (state === 'included') return refuse({ confirmationBlock: null, error: 'Transaction already executed' })
  const late = ledger.refusal(data.transaction)
  if (late) return refuse({ error: `Failed to apply GCREdit: ${late}` })
  ledger.mempool.push(data.transaction)
  return {
    result: 200,
    response: { message: 'Transaction applied, waiting for confirmation' },
    require_reply: false,
    extra: { confirmationBlock: ledger.height + 1 }
  }
}
