// The least a relay can do that loses nothing: the bare relay, but a message is in PostgreSQL before it is passed on, one
// commit for all that wait, and leaves it soon after. What is for a peer that is away stays until it comes. Each name has the
// key that proved it. No receipts, quotas, limits, record of what it did, or checks of what it is sent: what those cost is the
// difference to the server.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import postgres from 'postgres'
import { type WebSocket, WebSocketServer } from 'ws'
import { createProofVerifier } from '../src/crypto/verifier.ts'
import { serveRelay } from './relay-process.ts'

// biome-ignore lint/suspicious/noExplicitAny: no checks is the point
type Frame = any

interface Message {
  readonly to: string
  readonly from: string
  /** As it is passed on. */
  readonly text: string
  /** `recipient`: as it was at the commit; undefined: away, so it waits. */
  readonly stored: (recipient: WebSocket | undefined) => void
}

interface Name {
  readonly name: string
  readonly key: string
  readonly stored: () => void
}

/** In bodies of the benchmark there is none. */
const SEPARATOR = '\x01'
/** As the server does it. */
const GROUP = 512
const DELETE_AFTER_MS = 20
const PAGE = 128

const sql = postgres(process.env.STORING_RELAY_DATABASE_URL!, { max: 4, onnotice: () => {} })
const verifier = createProofVerifier({ workers: 0, queueLength: 100_000 })
const peers = new Map<string, WebSocket>()
/** Place of the last message that waits for a name. What comes after it was passed on. */
const waiting = new Map<string, string>()
const left: string[] = []
let isDeleting = false

const storeMessage = inGroups(async (group: readonly Message[]) => {
  const digests = Buffer.concat(group.map(({ text }) => createHash('sha256').update(text).digest()))
  const rows = await sql<{ seq: string }[]>`
    with digest as (insert into digest (digests) values (${digests}))
    insert into message (recipient, sender, text) select * from unnest(
      string_to_array(${joined(group, 'to')}, ${SEPARATOR}), string_to_array(${joined(group, 'from')}, ${SEPARATOR}),
      string_to_array(${joined(group, 'text')}, ${SEPARATOR})) returning seq`
  for (const [index, { to, stored }] of group.entries()) {
    const { seq } = rows[index]!
    const recipient = peers.get(to)
    if (recipient === undefined) waiting.set(to, seq)
    else left.push(seq)
    stored(recipient)
  }
  deleteSoon()
})

const storeName = inGroups(async (group: readonly Name[]) => {
  await sql`
    insert into name (name, key) select * from unnest(
      string_to_array(${joined(group, 'name')}, ${SEPARATOR}), string_to_array(${joined(group, 'key')}, ${SEPARATOR}))
    on conflict do nothing`
  for (const { stored } of group) stored()
})

const joined = <K extends string>(group: readonly Record<K, string>[], key: K): string =>
  group.map((each) => each[key]).join(SEPARATOR)

/** One write at a time; what comes meanwhile is the next group. */
function inGroups<T>(write: (group: readonly T[]) => Promise<void>) {
  const items: T[] = []
  let isWriting = false
  const run = async () => {
    while (items.length > 0) await write(items.splice(0, GROUP))
    isWriting = false
  }
  return (item: T) => {
    items.push(item)
    if (isWriting) return
    isWriting = true
    setImmediate(() => void run())
  }
}

function deleteSoon(): void {
  if (!isDeleting && left.length > 0) void deleteLeft()
}

/** What waits for a peer that has come. */
async function empty(name: string, socket: WebSocket): Promise<void> {
  const last = waiting.get(name)
  if (last === undefined) return
  waiting.delete(name)
  for (let after = '0', count = PAGE; count === PAGE; ) {
    const rows = await sql<{ seq: string; text: string }[]>`
      select seq, text from message where recipient = ${name} and seq > ${after} and seq <= ${last} order by seq limit ${PAGE}`
    for (const { seq, text } of rows) {
      socket.send(text)
      left.push(seq)
    }
    deleteSoon()
    count = rows.length
    after = rows.at(-1)?.seq ?? after
  }
}

async function deleteLeft(): Promise<void> {
  isDeleting = true
  while (left.length > 0) {
    await delay(DELETE_AFTER_MS)
    await sql`delete from message where seq = any(${left.splice(0)}::bigint[])`
  }
  isDeleting = false
}

async function isProven({ payload, timestamp }: Frame): Promise<boolean> {
  const { verification, publicKey, proof } = payload
  const signed =
    verification === undefined
      ? {
          algorithm: 'ed25519' as const,
          publicKey: Buffer.from(publicKey, 'hex'),
          message: Buffer.from(`register:${publicKey}:${timestamp}`),
          signature: Buffer.from(proof, 'hex')
        }
      : {
          algorithm: verification.algorithm,
          publicKey: Buffer.from(verification.serializedPublicKey, 'base64'),
          message: Buffer.from(verification.serializedMessage, 'base64'),
          signature: Buffer.from(verification.serializedSignedData, 'base64')
        }
  return (await verifier.verify(signed)) === 'valid'
}

const server = createServer((_request, response) => response.end('ok'))
const sockets = new WebSocketServer({ server, perMessageDeflate: false })

sockets.on('connection', (socket) => {
  let name = ''
  const register = async (frame: Frame) => {
    if (!(await isProven(frame))) return socket.close()
    const { clientId, publicKey } = frame.payload
    name = clientId ?? publicKey
    const type = clientId === undefined ? 'registered' : 'register'
    const text = JSON.stringify({ type, payload: { success: true, clientId: name }, requestId: frame.requestId })
    const stored = () => {
      peers.set(name, socket)
      socket.send(text)
      void empty(name, socket)
    }
    storeName({ name, key: clientId === undefined ? '' : String(publicKey), stored })
  }
  socket.on('message', (data) => {
    const frame: Frame = JSON.parse(String(data))
    const { payload, requestId } = frame
    if (frame.type === 'message') {
      const { targetId: to, message } = payload
      const text = JSON.stringify({ type: 'message', payload: { message, fromId: name } })
      const stored = (recipient: WebSocket | undefined) => {
        if (recipient !== undefined) recipient.send(text)
        else socket.send(`{"type":"message_queued","payload":{"targetId":${JSON.stringify(to)}}}`)
      }
      storeMessage({ to, from: name, text, stored })
    } else if (frame.type === 'send') {
      const { to, encrypted, messageHash } = payload
      const text = JSON.stringify({ type: 'message', payload: { from: name, encrypted, messageHash, offline: false } })
      const stored = (recipient: WebSocket | undefined) => {
        recipient?.send(text)
        const type = recipient === undefined ? 'message_queued' : 'message_sent'
        socket.send(`{"type":"${type}","payload":{"messageHash":"${messageHash}"},"requestId":"${requestId}"}`)
      }
      storeMessage({ to, from: name, text, stored })
    } else if (frame.type === 'register') void register(frame)
  })
  socket.on('close', () => peers.delete(name))
})

serveRelay(server, async () => {
  await sql`create table message (seq bigserial primary key, recipient text, sender text, text text)`
  await sql`create index on message (recipient, seq)`
  await sql`create table digest (seq bigserial primary key, digests bytea)`
  await sql`create table name (name text primary key, key text)`
})
