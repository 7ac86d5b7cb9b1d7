// npm run demo: two peers find each other and exchange sealed messages, with every frame shown and explained.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import {
  createIdentity,
  createSignalingClient,
  createTransport,
  type Events,
  type Identity,
  RelayError,
  type SignalingClient
} from '../client/src/index.ts'

const USUAL_URL = 'ws://127.0.0.1:3005'
const DEADLINE_MS = 15_000

const colours = process.stdout.isTTY === true && !process.env.NO_COLOR
const paint = (code: number) => (text: string) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text)
const [bold, dim, green] = [paint(1), paint(2), paint(32)]

let chapter = 0

/** Steps that clean up at the end; the last one is carried out first. */
const undo: (() => Promise<unknown>)[] = []

/** What each frame means, in the words of its sender. */
const MEANING: Record<string, string> = {
  '→ register': 'my name, my public key, and my signature over that key',
  '← register': 'the signature is right, the name is yours',
  '→ discover': 'who is connected?',
  '← discover': 'these are, you included',
  '→ request_public_key': 'which key do I seal to?',
  '← public_key_response': 'the key this peer has announced',
  '→ message': 'pass this on; only the recipient can open it',
  '← message': 'this came for you, unchanged',
  '← message, kept': 'this came for you while you were away, unchanged, with the time it came',
  '← message_queued': 'the recipient is away; your message is stored until it returns',
  '← peer_disconnected': 'this peer has left',
  '← error': 'no, and this is why'
}

process.once('SIGINT', () => cleanUp().finally(() => process.exit(130)))
try {
  await tell(await findServer())
} catch (error) {
  console.error(`\nThe demo stopped: ${sentence(error)}`)
  process.exitCode = 1
} finally {
  await cleanUp()
}

async function cleanUp(): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step().catch((error) => console.error(sentence(error)))
}

/** The whole demo. Client ids are new in every run, because a server pins each to its first owner. */
async function tell(url: string): Promise<void> {
  const tag = Math.random().toString(16).slice(2, 6).padEnd(4, '0')
  const [aliceId, bobId] = [`alice-${tag}`, `bob-${tag}`]

  heading('Alice and Bob register')
  say(`Each makes an ML-KEM-768 key, which others seal messages to, and signs it with an ML-DSA-65 key. The server
    checks the signature; from now on only the holder of that signing key can be ${aliceId}, or ${bobId}.`)
  const alice = await enter(url, aliceId, await createIdentity())
  const bobIdentity = await createIdentity()
  const bob = await enter(url, bobId, bobIdentity)

  heading('Alice asks who is connected')
  const peers = await alice.discover()
  if (!peers.includes(bobId)) throw new Error(`the server does not list ${bobId} as connected.`)

  heading('Alice writes to Bob')
  say(`She asks for Bob's public key, seals her text to it and sends it. The server does not confirm a message that it
    delivers at once.`)
  await converse(alice, bob, `Hello Bob, this is ${aliceId}.`)

  heading('Bob answers')
  await converse(bob, alice, 'Hello Alice, I can read you.')

  heading('Bob leaves, and Alice writes to him')
  say(`The server says when it has stored a message for somebody who is away: after the commit, not before.`)
  const left = heard(alice.events, 'peerDisconnected', ({ peerId }) => peerId === bobId)
  await bob.close()
  await left
  const queued = heard(alice.events, 'queued', ({ targetId }) => targetId === bobId)
  const text = 'Read this when you are back.'
  await alice.send(bobId, text)
  await queued
  say(`It is stored, sealed as it is. Only Bob's key opens it, and only Bob's signing key can fetch it.`)

  heading('Bob returns')
  await receive(text, (listen) => enter(url, bobId, bobIdentity, listen))

  heading('What the server has seen')
  say(`Who wrote to whom, when, and how long the sealed body is; the public keys, and the signatures it checked.`)
  say(`It could not see the three messages or any secret key: those were never sent unsealed.`)
  console.log(`\n${green('Done.')} Run it again whenever you like; every run uses new names.`)
}

type Listen = (client: SignalingClient) => void

/** Connects and registers a peer; every frame that it sends or receives is shown. */
async function enter(
  url: string,
  name: string,
  identity: Identity,
  listen: Listen = () => {}
): Promise<SignalingClient> {
  class ShownWebSocket extends WebSocket {
    override send(data: string): void {
      showFrame(name, '→', data)
      super.send(data)
    }
  }
  const client = createSignalingClient({ url, clientId: name, identity, webSocket: ShownWebSocket, reconnect: false })
  undo.push(() => client.close())
  client.events.on('frame', (frame) => showFrame(name, '←', JSON.stringify(frame)))
  listen(client)
  await client.connect()
  return client
}

async function converse(from: SignalingClient, to: SignalingClient, text: string): Promise<void> {
  await receive(text, async (listen) => {
    listen(to)
    await from.send(to.clientId, text)
  })
}

/** Waits until the client that `act` passes to its callback receives exactly this text. */
async function receive(text: string, act: (listen: Listen) => Promise<unknown>): Promise<void> {
  let message: Promise<{ text?: string; error?: Error }> | undefined
  let reader = ''
  await act((client) => {
    reader = client.clientId
    message = heard(client.events, 'message')
  })
  const received = await message!
  if (received.text !== text) throw received.error ?? new Error(`${reader} received another text than was sent.`)
  say(`${reader} opens it: ${green(`"${text}"`)}`)
}

/** The next event of this type that fits; rejects when none comes before the deadline. */
function heard<M, K extends keyof M & string>(events: Events<M>, type: K, fits: (event: M[K]) => boolean = () => true) {
  return new Promise<M[K]>((resolve, reject) => {
    const late = () => reject(new Error(`waited ${DEADLINE_MS / 1_000} seconds for "${type}", which did not come.`))
    const timer = setTimeout(late, DEADLINE_MS)
    undo.push(async () => clearTimeout(timer))
    const stop = events.on(type, (event) => {
      if (!fits(event)) return
      stop()
      clearTimeout(timer)
      resolve(event)
    })
  })
}

/** The address of the server: DEMO_URL, or the usual port, or that of a server started for the demo. */
async function findServer(): Promise<string> {
  heading('The server')
  const url = process.env.DEMO_URL ?? USUAL_URL
  const probe = createTransport({ url, reconnect: false })
  try {
    await probe.connect()
    await probe.close()
  } catch (error) {
    if (process.env.DEMO_URL || !(error instanceof RelayError && error.details.includes('ECONNREFUSED'))) throw error
    say(`Nobody listens at ${url}.`)
    return startLocalServer()
  }
  say(`One listens at ${url}: the demo uses that.`)
  return url
}

/** Starts a server for this run only, as "npm start" does, and resolves to its address. */
async function startLocalServer(): Promise<string> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'demos-relay-demo-'))
  undo.push(() => rm(dataDirectory, { recursive: true, force: true }))
  say(`So the demo starts one: the same server as "npm start", on a free port of 127.0.0.1, with an embedded PostgreSQL
    whose files are in ${dataDirectory}. When the demo ends, both end and the files are removed.`)
  const { PATH, HOME, TMPDIR } = process.env // no settings of another server
  const env = { PATH, HOME, TMPDIR, DATA_DIR: dataDirectory, SIGNALING_SERVER_PORT: '0' }
  const program = fileURLToPath(new URL('../scripts/start.mjs', import.meta.url))
  const child = spawn(process.execPath, [program], { cwd: dataDirectory, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  undo.push(async () => {
    child.kill('SIGTERM')
    await exit
  })
  const signaling = await addressOf(child.stdout)
  child.stdout.resume() // its further log lines are not shown
  say(`It listens at ${signaling}.`)
  return signaling
}

/** Reads the log of a starting server up to the line that says where it listens. */
async function addressOf(log: Readable): Promise<string> {
  for await (const line of createInterface({ input: log })) {
    const { msg, signaling, reason } = JSON.parse(line)
    if (msg === 'server ready') return signaling
    if (reason) throw new Error(`${msg}: ${reason}`)
  }
  throw new Error('the server ended before it was ready.')
}

function heading(text: string): void {
  console.log(`\n${bold(`${++chapter}. ${text}`)}`)
}

function say(text: string): void {
  console.log(`   ${text.replace(/\s*\n\s*/g, '\n   ')}`)
}

function showFrame(name: string, direction: '→' | '←', json: string): void {
  const frame = JSON.parse(json)
  const [from, to] = direction === '→' ? [name, 'server'] : ['server', name]
  const kept = direction === '←' && frame.payload?.timestamp && frame.type === 'message' ? ', kept' : ''
  console.log(`   ${from} → ${to}: ${MEANING[`${direction} ${frame.type}${kept}`] ?? frame.type}`)
  console.log(dim(`      ${JSON.stringify(shortened(frame))}`))
}

/** The frame with long texts and arrays cut to their beginning and length. */
function shortened(value: unknown): unknown {
  if (typeof value === 'string' && value.length > 60) return `${value.slice(0, 16)}… (${value.length} characters)`
  if (Array.isArray(value)) {
    if (value.length <= 12) return value.map(shortened)
    return [...value.slice(0, 3).map(shortened), `… (${value.length} in all)`]
  }
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, shortened(part)]))
}

function sentence(error: unknown): string {
  if (error instanceof RelayError && error.errorType === 'NOT_CONNECTED')
    return `${error.details}. Start a server with "npm start", or leave DEMO_URL unset.`
  return error instanceof Error ? error.message : String(error)
}
