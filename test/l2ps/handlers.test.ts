// Every L2PS handler as a table: a frame and a state, and the answer. No socket, no database.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Proof, Verdict } from '../../src/crypto/proof.ts'
import type { Database } from '../../src/database/database.ts'
import type { Acceptance } from '../../src/delivery/mailbox.ts'
import { FailedProofs } from '../../src/identity/failed-proofs.ts'
import type { L2psContext, L2psSession } from '../../src/l2ps/context.ts'
import { KeyNames } from '../../src/l2ps/key-names.ts'
import { L2psMember } from '../../src/l2ps/l2ps-member.ts'
import { createL2ps } from '../../src/l2ps/router.ts'
import { ShownProofs } from '../../src/l2ps/shown-proofs.ts'
import { addressKey } from '../../src/limits/address.ts'
import type { Network } from '../../src/networks/network.ts'
import { MAX_FRAME_BYTES } from '../../src/protocol/frame.ts'
import { peerKeyOf } from '../../src/protocol/peer-key.ts'
import type { Answer } from '../../src/session/effect.ts'
import type { KeyEntry, Name } from '../../src/store/identity.ts'
import { conversationId } from '../../src/store/message.ts'
import type { Message, QueueEntry } from '../../src/store/queue-entry.ts'
import { FairQueue } from '../../src/util/fair-queue.ts'
import { BODIES, FakeSession, fakeAttachments, pagesOf, settle, textOf } from '../helpers/handlers.ts'

const NOW = 1_750_000_000_000
const WINDOW_MS = 300_000
const [ALICE, BOB, CAROL] = ['a1', 'b2', 'c3'].map((byte) => byte.repeat(32)) as [string, string, string]
const LONG = 'd4'.repeat(1_952)
const PROOF = '5f'.repeat(64)

const networkOf = (changes: Partial<Network> = {}): Network => ({
  ...{ uid: 'net', name: undefined, description: undefined, enabled: true, members: undefined, auditPublic: false },
  source: 'file',
  ...changes
})

/** The collaborators of the handlers, as they are unless a row says otherwise. */
const GIVEN = {
  acceptance: 'live' as Acceptance,
  verdict: 'valid' as Verdict,
  /** The network when it is looked up, and once the proof was checked. */
  network: networkOf() as Network | undefined,
  networkNow: networkOf() as Network | undefined,
  /** Is the proof noted: true, or was it used before, or what else became of it? */
  entered: true as boolean | 'unavailable',
  isDatabaseAway: false,
  deadlineMs: 60_000,
  /** When a key that enters is noted. */
  noted: Promise.resolve(),
  discoverPeers: 5,
  /** Can other relays be asked who is there? Undefined: there are none. */
  cluster: undefined as 'answers' | 'fails' | undefined,
  /** Keys that have entered the network. */
  known: [] as string[],
  /** Of history. */
  page: { messages: '', hasMore: false }
}
type Given = typeof GIVEN

function relay(changes: Partial<Given> = {}) {
  const given = { ...GIVEN, ...changes }
  const { attachments, mailbox } = fakeAttachments(NOW)
  const [accepted, proofs, entries]: [Message[], Proof[], KeyEntry[]] = [[], [], []]
  const [counted, lines, queries, lookedUp]: [unknown[], string[], unknown[][], string[][]] = [[], [], [], []]
  const sql = (_text: unknown, ...values: unknown[]) => {
    queries.push(values)
    const { messages, hasMore } = given.page
    const raw = async () => [[messages, String(messages.length), hasMore ? 't' : 'f'].map((text) => Buffer.from(text))]
    return Object.assign(Promise.resolve([]), { raw })
  }
  const database = {
    sql,
    ask: async (query: () => Promise<unknown>) => {
      if (given.isDatabaseAway) throw new Error('no connection')
      return query()
    },
    deadlineMs: given.deadlineMs
  } as unknown as Database
  const find = async ({ network, peer }: Name) => {
    lookedUp.push([network, peer])
    if (given.isDatabaseAway) throw new Error('no connection')
    return given.known.includes(peer) ? new Uint8Array() : undefined
  }
  const failedProofs = new FailedProofs(2)
  const context: L2psContext = {
    ...{ database, attachments, names: new KeyNames(find), failedProofs },
    shownProofs: new ShownProofs(2 * WINDOW_MS),
    historyQueue: new FairQueue(1, 0),
    peersIn: pagesOf(attachments.registry, given.cluster),
    discoverPeers: given.discoverPeers,
    mailbox: {
      accept: (message, done) => {
        accepted.push(message)
        done(given.acceptance)
      }
    },
    proofs: {
      verify: async (proof) => {
        proofs.push(proof)
        return given.verdict
      }
    },
    networks: { lookUp: async () => given.network, find: () => given.networkNow },
    enter: async (entry) => {
      entries.push(entry)
      await given.noted
      return given.entered
    },
    countFrame: (type) => void counted.push(type),
    proofWindowMs: WINDOW_MS,
    failedRegistrations: 2,
    now: () => NOW,
    log: { error: (_facts, line) => void lines.push(line) }
  }
  const protocol = createL2ps(context)
  const stranger = () => new FakeSession<L2psMember>()
  /** A session that is registered with this key. */
  const join = (hex: string, { features = [], network = 'net' }: { features?: string[]; network?: string } = {}) => {
    const session = stranger()
    const key = peerKeyOf(hex)!
    const counter = attachments.counters.open(network, key.address)
    counter.load({ entries: 0, bytes: 0, lastSeq: 0 })
    const opened = { network, recipient: key.address, counter, isEmpty: true, place: undefined, close: () => {} }
    const member = new L2psMember(session as unknown as L2psSession, opened, { key, features }, context)
    member.join()
    member.start()
    return session
  }
  const say = (frame: unknown, session: FakeSession<L2psMember>) => {
    const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
    return settle(protocol.handle(text, session as unknown as L2psSession))
  }
  const all = {
    given,
    context,
    attachments,
    mailbox,
    accepted,
    proofs,
    failedProofs,
    entries,
    counted,
    lines,
    queries,
    lookedUp
  }
  return { ...all, protocol, stranger, join, say }
}
type Relay = ReturnType<typeof relay>

/** What an answer says, without its time; undefined: nothing. Of a reply to `r-1` the requestId is left out. */
function wordsOf({ frame, refusal }: Answer) {
  if (frame === undefined) return undefined
  const { type, payload, timestamp, requestId } = JSON.parse(textOf(frame))
  assert.deepEqual([timestamp, requestId], [NOW, 'r-1'])
  if (type !== 'error') return { type, ...payload }
  assert.equal(refusal, payload.code, 'a refusal is counted by its code')
  return `${payload.code}: ${payload.message}`
}

const frame = (type: string, payload: unknown, changes: object = {}) => ({
  ...{ type, payload, timestamp: NOW, requestId: 'r-1' },
  ...changes
})

type Row = [name: string, frame: unknown, expected: unknown, given?: Partial<Given>]

/** Each row is a test of its own. */
function table(title: string, sessionOf: (all: Relay) => FakeSession<L2psMember>, rows: readonly Row[]) {
  describe(title, () => {
    for (const [name, sent, expected, given] of rows) {
      test(name, async () => {
        const all = relay(given)
        assert.deepEqual(wordsOf(await all.say(sent, sessionOf(all))), expected)
      })
    }
  })
}

const asStranger = (all: Relay) => all.stranger()
const asAlice = (all: Relay) => all.join(ALICE)

const NO_FRAME = 'INVALID_MESSAGE: Missing or invalid type/payload'

table('a text that is no frame of the protocol is refused', asStranger, [
  ['no type', frame('', {}), NO_FRAME],
  ['a type that is no text', { ...frame('x', {}), type: 7 }, NO_FRAME],
  ['no payload', frame('discover', undefined), NO_FRAME],
  ['a payload that is a list', frame('discover', []), NO_FRAME],
  ['a payload that is text', frame('discover', 'x'), NO_FRAME],
  ['an unknown type', frame('hello', {}), 'INVALID_MESSAGE: Unknown type: hello'],
  ['a type that every object has', frame('constructor', {}), 'INVALID_MESSAGE: Unknown type: constructor'],
  ['a long type', frame('é'.repeat(100), {}), `INVALID_MESSAGE: Unknown type: ${'é'.repeat(64)}`]
])

test('a requestId is echoed when it is text of at most 128 characters; others are left out', async () => {
  const all = relay()
  const rows: [unknown, string | undefined][] = [
    ['x'.repeat(128), 'x'.repeat(128)],
    ['', ''],
    ['"\\é', '"\\é'],
    ['x'.repeat(129), undefined],
    [7, undefined],
    [null, undefined],
    [undefined, undefined]
  ]
  for (const [requestId, echoed] of rows) {
    const { frame: text } = await all.say(frame('discover', {}, { requestId }), all.stranger())
    assert.equal(JSON.parse(textOf(text!)).requestId, echoed)
  }
  for (const text of ['{"requestId":"r-1"', '[]', 'null', '']) {
    const answer = JSON.parse(textOf((await all.say(text, all.stranger())).frame!))
    assert.deepEqual([answer.payload.code, answer.requestId], ['INVALID_MESSAGE', undefined], text)
  }
})

table('a socket that is not registered may only register', asStranger, [
  ['send', frame('send', {}), 'REGISTRATION_REQUIRED: Register before sending'],
  ['history', frame('history', {}), 'REGISTRATION_REQUIRED: Register first'],
  ['discover', frame('discover', {}), 'REGISTRATION_REQUIRED: Register before discovering peers'],
  [
    'request_public_key',
    frame('request_public_key', {}),
    'REGISTRATION_REQUIRED: Register before requesting public keys'
  ],
  ['ack', frame('ack', {}), 'REGISTRATION_REQUIRED: Register first']
])

const register = (changes: object = {}, frameChanges: object = {}) =>
  frame('register', { publicKey: ALICE, l2psUid: 'net', proof: PROOF, ...changes }, frameChanges)
const REGISTERED = { type: 'registered', success: true, publicKey: ALICE, l2psUid: 'net', onlinePeers: [] }
const MISSING = 'INVALID_MESSAGE: Missing publicKey, l2psUid, or proof'
const NO_KEY = 'INVALID_MESSAGE: Invalid publicKey format (expected hex)'
const NOT_FOUND = 'L2PS_NOT_FOUND: L2PS network net not found'
const WRONG_PROOF = 'INVALID_PROOF: Signature verification failed'
const STALE = `INVALID_PROOF: Proof is not fresh: its timestamp must be within 300 s of ${NOW}`
const NO_TIME = 'INVALID_MESSAGE: Missing or invalid timestamp (ms since 1970)'
const AGAIN = 'INTERNAL_ERROR: The server cannot do this now. Please try again.'

table('register: wrong shapes', asStranger, [
  ['no publicKey', register({ publicKey: undefined }), MISSING],
  ['no l2psUid', register({ l2psUid: '' }), MISSING],
  ['no proof', register({ proof: null }), MISSING],
  [
    'a publicKey that is a number',
    register({ publicKey: 7 }),
    'INVALID_MESSAGE: publicKey must be text of 1 to 8192 characters'
  ],
  [
    'features that are no list',
    register({ features: 'ack' }),
    'INVALID_MESSAGE: features must be a list of at most 16 items'
  ],
  [
    'a key of 63 digits',
    register({ publicKey: ALICE.slice(1) }),
    `${NO_KEY}: a key has 64 (ed25519) or 1794 (falcon) or 3904 (ml-dsa) digits, this one 63`
  ],
  ['a key that is not hex', register({ publicKey: 'g'.repeat(64) }), NO_KEY],
  ['a key with 0x', register({ publicKey: `0x${ALICE.slice(2)}` }), `${NO_KEY}: leave out the 0x`],
  ['no timestamp', register({}, { timestamp: undefined }), NO_TIME],
  ['a timestamp that is text', register({}, { timestamp: `${NOW}` }), NO_TIME],
  ['a timestamp that cannot become text', register({}, { timestamp: { toString: 1 } }), NO_TIME],
  ['a timestamp with a fraction', register({}, { timestamp: NOW + 0.5 }), NO_TIME],
  ['a proof that is not hex', register({ proof: 'xyz' }), WRONG_PROOF],
  ['a proof of an odd number of digits', register({ proof: `${PROOF}a` }), WRONG_PROOF]
])

table('register: what network and proof are worth decides', asStranger, [
  ['a proof that holds', register(), REGISTERED],
  [
    'a key in capital letters',
    register({ publicKey: ALICE.toUpperCase() }),
    { ...REGISTERED, publicKey: ALICE.toUpperCase() }
  ],
  ['a long key', register({ publicKey: LONG }), { ...REGISTERED, publicKey: LONG }],
  ['with members that are not known', register({ features: ['ack', 'else'], extra: 1 }), REGISTERED],
  ['no such network', register(), NOT_FOUND, { network: undefined }],
  ['a disabled network', register(), NOT_FOUND, { network: networkOf({ enabled: false }) }],
  ['a network of others', register(), NOT_FOUND, { network: networkOf({ members: new Set([BOB]) }) }],
  ['a network that lists the key', register(), REGISTERED, { network: networkOf({ members: new Set([ALICE]) }) }],
  ['a network that is disabled meanwhile', register(), NOT_FOUND, { networkNow: networkOf({ enabled: false }) }],
  ['a network that is removed meanwhile', register(), NOT_FOUND, { networkNow: undefined }],
  ['the oldest timestamp', register({}, { timestamp: NOW - WINDOW_MS }), REGISTERED],
  ['the youngest timestamp', register({}, { timestamp: NOW + WINDOW_MS }), REGISTERED],
  ['a timestamp that is too old', register({}, { timestamp: NOW - WINDOW_MS - 1 }), STALE],
  ['a timestamp too far ahead', register({}, { timestamp: NOW + WINDOW_MS + 1 }), STALE],
  ['a proof that does not hold', register(), WRONG_PROOF, { verdict: 'invalid' }],
  [
    'too many proofs at once',
    register(),
    'RATE_LIMITED: The server is busy with proofs. Please try again.',
    { verdict: 'busy' }
  ],
  [
    'a proof that another socket has shown',
    register(),
    'INVALID_PROOF: This proof was used on another connection; sign a new one',
    { entered: false }
  ],
  ['a key that could not be noted', register(), AGAIN, { entered: 'unavailable' }]
])

test('register: what is proven is the text with the key as it was spelled', async () => {
  const all = relay()
  await all.say(register({ publicKey: ALICE.toUpperCase() }), all.stranger())
  const [{ message, publicKey, signature, algorithm }] = all.proofs as [Proof]
  assert.equal(Buffer.from(message).toString(), `register:${ALICE.toUpperCase()}:${NOW}`)
  assert.equal(Buffer.from(publicKey).toString('hex'), ALICE)
  assert.deepEqual([Buffer.from(signature).toString('hex'), algorithm], [PROOF, 'ed25519'])
})

test('register: the proof is noted until nobody could find it fresh any more', async () => {
  const all = relay()
  await all.say(register(), all.stranger())
  assert.equal(all.entries[0]!.proof.expiresAt, NOW + 2 * WINDOW_MS)
})

test('register: who else is online is listed by key, also by a long one', async () => {
  const all = relay()
  all.join(BOB)
  all.join(LONG)
  all.join(CAROL, { network: 'other' })
  all.join(ALICE)
  const answer = await all.say(register(), all.stranger())
  assert.deepEqual(wordsOf(answer), { ...REGISTERED, onlinePeers: [BOB, LONG] })
})

test('register: a socket that is registered gets the same answer again, and no other key or network', async () => {
  const all = relay()
  const session = all.stranger()
  await all.say(register(), session)
  assert.deepEqual(wordsOf(await all.say(register(), session)), REGISTERED)
  assert.equal(all.proofs.length, 1, 'the second proof is not looked at')
  const other = 'INVALID_MESSAGE: This socket is registered already, for another key or network'
  assert.equal(wordsOf(await all.say(register({ publicKey: BOB }), session)), other)
  assert.equal(wordsOf(await all.say(register({ l2psUid: 'else' }), session)), other)
})

test('register: a key has so many connections and no more', async () => {
  const all = relay()
  for (const _ of [1, 2]) all.join(ALICE)
  const answer = wordsOf(await all.say(register(), all.stranger()))
  assert.equal(answer, 'RATE_LIMITED: This key has 2 connections, the most it may have. Close one first.')
  assert.deepEqual(wordsOf(await all.say(register({ publicKey: BOB }), all.stranger())), {
    ...{ ...REGISTERED, publicKey: BOB, onlinePeers: [ALICE] }
  })
})

test('register: a socket may show its own proof again after a registration that failed', async () => {
  const all = relay()
  const session = all.stranger()
  all.mailbox.contents = 'unavailable'
  assert.equal(wordsOf(await all.say(register(), session)), AGAIN)
  assert.deepEqual([session.member, all.attachments.counters.find('net', ALICE)], [undefined, undefined])
  all.mailbox.contents = { entries: 0, bytes: 0, lastSeq: 0 }
  all.given.entered = false // it was noted
  assert.deepEqual(wordsOf(await all.say(register(), session)), REGISTERED)
  assert.equal(all.entries.length, 1)
})

test('register: a socket that closed meanwhile is told nothing and speaks for nobody', async () => {
  const all = relay()
  const session = all.stranger()
  const answer = all.say(register(), session)
  session.isOpen = false
  assert.equal(wordsOf(await answer), undefined)
  assert.equal(all.attachments.registry.peerCount('net'), 0)
  assert.equal(all.attachments.counters.find('net', ALICE), undefined)
})

test('register: a network that closed meanwhile leaves no mailbox open', async () => {
  const all = relay({ networkNow: undefined })
  await all.say(register(), all.stranger())
  assert.equal(all.attachments.counters.find('net', ALICE), undefined)
})

test('register: what fails for a reason of ours is held against neither the socket nor its address', async () => {
  for (const given of [{ verdict: 'busy' }, { entered: 'unavailable' }] as const) {
    const all = relay(given)
    const session = all.stranger()
    for (let tries = 0; tries < 30; tries++) (await all.say(register(), session)).after?.()
    assert.deepEqual([session.failedRegistrations, session.closes], [0, []])
    assert.equal(
      all.failedProofs.refused(addressKey(session.address)),
      0,
      'the next refusal of the address is the first'
    )
  }
})

test('register: what the database answers too late has no effect any more', async () => {
  const all = relay({ deadlineMs: 20 })
  const session = all.stranger()
  let store = () => {}
  all.given.noted = new Promise((resolve) => {
    store = resolve
  })
  assert.equal(wordsOf(await all.say(register(), session)), AGAIN)
  store()
  await new Promise(setImmediate)
  assert.equal(session.member, undefined)
  assert.equal(all.attachments.registry.peerCount('net'), 0)
  assert.equal(all.attachments.counters.find('net', ALICE), undefined)
})

test('register: past the failures that a socket may have it is closed behind the answer', async () => {
  const all = relay({ network: undefined })
  const session = all.stranger()
  for (const isLast of [false, false, true]) {
    const answer = await all.say(register(), session)
    assert.equal(session.isOpen, true)
    answer.after?.()
    assert.deepEqual(session.closes, isLast ? ['policy'] : [])
  }
})

test('register: past the failures that an address may have no proof of it is checked', async () => {
  const all = relay({ verdict: 'invalid' })
  for (const _ of [1, 2]) await all.say(register(), all.stranger())
  const answer = wordsOf(await all.say(register(), all.stranger()))
  assert.equal(
    answer,
    'RATE_LIMITED: Too many failed proofs of this key from this address. Please try again in a minute.'
  )
  assert.equal(all.proofs.length, 2)
})

const entry = (seq: number, digest = `h${seq}`): QueueEntry => ({
  ...{ seq, network: 'net', sender: BOB, recipient: ALICE, digest, sealed: '{"n":1.0}', bytes: 9, keyId: null },
  ...{ slot: false, acceptedAt: 5, deliveries: 0 }
})

test('register: the backlog starts behind the answer', async () => {
  const all = relay()
  all.mailbox.contents = { entries: 1, bytes: 9, lastSeq: 7 }
  all.mailbox.stored = [entry(7)]
  const session = all.stranger()
  const { after } = await all.say(register({ features: ['ack'] }), session)
  assert.deepEqual(session.pushed, [])
  after!()
  await new Promise(setImmediate)
  const body = `{"from":"${BOB}","encrypted":{"n":1.0},"messageHash":"h7","offline":true,"seq":7}`
  assert.deepEqual(session.pushed, [`{"type":"message","payload":${body},"timestamp":${NOW}}`])
})

/** The text of a `send`; `body` as it stands. */
const send = (body: string, changes: { to?: string; messageHash?: string } = {}) =>
  `{"type":"send","requestId":"r-1","timestamp":${NOW},"payload":{"to":${JSON.stringify(changes.to ?? BOB)},` +
  `"encrypted":${body},"messageHash":${JSON.stringify(changes.messageHash ?? 'h1')}}}`
const sealed = (changes: object = {}) => JSON.stringify({ ciphertext: 'Y2lwaGVy', nonce: 'bm9uY2U=', ...changes })
const SENT = { type: 'message_sent', messageHash: 'h1', l2psStatus: 'submitted' }

table('send: what became of it decides the answer', asAlice, [
  ['the recipient is connected', send(sealed()), SENT],
  [
    'the recipient is away',
    send(sealed()),
    { type: 'message_queued', messageHash: 'h1', status: 'queued' },
    { acceptance: 'queued' }
  ],
  ['the digest was used', send(sealed()), 'L2PS_SUBMIT_FAILED: Duplicate message', { acceptance: 'duplicate' }],
  [
    'too much of the sender waits',
    send(sealed()),
    'RATE_LIMITED: Offline message limit reached',
    { acceptance: 'quota' }
  ],
  [
    'too much waits for the recipient',
    send(sealed()),
    'RATE_LIMITED: Too many messages are waiting for this recipient',
    { acceptance: 'recipient_full' }
  ],
  [
    'too much of the sender was stored today',
    send(sealed()),
    'RATE_LIMITED: This sender has stored too much in the last 24 hours',
    { acceptance: 'daily_bytes' }
  ],
  ['a busy server', send(sealed()), 'RATE_LIMITED: The server is busy. Please try again.', { acceptance: 'busy' }],
  [
    'no database',
    send(sealed()),
    'INTERNAL_ERROR: The message could not be stored. Please try again.',
    { acceptance: 'unavailable' }
  ]
])

const NO_SEND = 'INVALID_MESSAGE: Missing to, encrypted, or messageHash'
const NO_OBJECT = 'INVALID_MESSAGE: encrypted must be an object'
const NO_BODY = 'INVALID_MESSAGE: Encrypted payload must have ciphertext and nonce'
const deep = (depth: number) => sealed({ x: 0 }).replace('0}', `${'['.repeat(depth)}${']'.repeat(depth)}}`)
const wide = (values: number) => sealed({ x: Array(values).fill(1) })

table('send: what is not passed on', asAlice, [
  ['no recipient', send(sealed(), { to: '' }), NO_SEND],
  ['a recipient that is no key', send(sealed(), { to: 'bob' }), 'INVALID_MESSAGE: Invalid to format (expected hex)'],
  ['the sender', send(sealed(), { to: ALICE }), 'INVALID_MESSAGE: Cannot send message to yourself'],
  [
    'the sender in capital letters',
    send(sealed(), { to: ALICE.toUpperCase() }),
    'INVALID_MESSAGE: Cannot send message to yourself'
  ],
  ['no messageHash', send(sealed(), { messageHash: '' }), NO_SEND],
  ['no body', send('null'), NO_SEND],
  ['a body that is text', send('"x"'), NO_OBJECT],
  ['a body that is a list', send('[]'), NO_OBJECT],
  ['a body without ciphertext', send(sealed({ ciphertext: undefined })), NO_BODY],
  ['a body with an empty ciphertext', send(sealed({ ciphertext: '' })), NO_BODY],
  ['a body without nonce', send(sealed({ nonce: undefined })), NO_BODY],
  ['a nonce that is a number', send(sealed({ nonce: 7 })), NO_BODY],
  [
    'a ciphertext of 131,073 characters',
    send(sealed({ ciphertext: 'x'.repeat(131_073) })),
    'INVALID_MESSAGE: Ciphertext too large (max 131072 bytes)'
  ],
  ['one of 131,072 is', send(sealed({ ciphertext: 'x'.repeat(131_072) })), SENT],
  ['a body of 65 levels', send(deep(64)), 'INVALID_MESSAGE: encrypted: nested deeper than 64 levels'],
  ['one of 64 levels is', send(deep(63)), SENT],
  ['a body of 10,001 values', send(wide(9_997)), 'INVALID_MESSAGE: encrypted: more than 10000 values'],
  ['one of 10,000 values is', send(wide(9_996)), SENT]
])

describe('send: the mailbox is given the very text of the body', () => {
  for (const [name, body] of Object.entries(BODIES)) {
    test(name, async () => {
      const all = relay()
      await all.say(send(body), all.join(ALICE))
      assert.deepEqual(all.accepted, [
        {
          ...{ network: 'net', sender: ALICE, recipient: BOB, digest: 'h1', sealed: body, keyId: null },
          bytes: Buffer.byteLength(body)
        }
      ])
    })
  }
})

test('send: of several members with one name the last one counts, as for JSON.parse', async () => {
  const all = relay()
  const last = '{"ciphertext":"last","nonce":"b"}'
  const text = send(sealed()).replace('"messageHash"', `"encrypt\\u0065d" : ${last} ,"messageHash"`)
  await all.say(text, all.join(ALICE))
  assert.equal(all.accepted[0]!.sealed, last)
})

test('send: one recipient has one mailbox, however its key is spelled, and a long key its address', async () => {
  const all = relay()
  const alice = all.join(ALICE)
  for (const to of [BOB, BOB.toUpperCase(), LONG]) await all.say(send(sealed(), { to }), alice)
  assert.deepEqual(
    all.accepted.map(({ recipient }) => recipient),
    [BOB, BOB, peerKeyOf(LONG)!.address]
  )
})

test('send: the long key of a sender is known to its recipients from then on', async () => {
  const all = relay()
  await all.say(send(sealed()), all.join(LONG))
  assert.equal(all.context.names.keyOf(peerKeyOf(LONG)!.address), LONG)
})

const history = (changes: object = {}, frameChanges: object = {}) =>
  frame('history', { peerKey: BOB, proof: PROOF, ...changes }, frameChanges)
const NO_HISTORY = 'INVALID_MESSAGE: Missing peerKey or proof'
const NO_LIMIT = 'INVALID_MESSAGE: limit must be a whole number from 1 to 200'
const NO_BEFORE = 'INVALID_MESSAGE: before must be a whole number of at least 0'
const EMPTY_PAGE = { type: 'history_response', messages: [], hasMore: false }

const page = (messages: object[], hasMore = false) => ({ type: 'history_response', messages, hasMore })

table('history', asAlice, [
  ['an empty conversation', history(), EMPTY_PAGE],
  ['one message', history(), page([{ n: 1 }]), { page: { messages: '{"n":1}', hasMore: false } }],
  ['two, and older ones', history(), page([{}, {}], true), { page: { messages: '{},{}', hasMore: true } }],
  ['no peerKey', history({ peerKey: undefined }), NO_HISTORY],
  ['no proof', history({ proof: '' }), NO_HISTORY],
  ['a limit of 0', history({ limit: 0 }), NO_LIMIT],
  ['a limit of 201', history({ limit: 201 }), NO_LIMIT],
  ['a before that is text', history({ before: '5' }), NO_BEFORE],
  ['a before that is null', history({ before: null }), NO_BEFORE],
  ['a peerKey that is no key', history({ peerKey: 'bob' }), 'INVALID_MESSAGE: Invalid peerKey format (expected hex)'],
  ['no timestamp', history({}, { timestamp: null }), NO_TIME],
  ['a proof that is too old', history({}, { timestamp: NOW - WINDOW_MS - 1 }), STALE],
  ['a proof that does not hold', history(), WRONG_PROOF, { verdict: 'invalid' }],
  [
    'too many proofs at once',
    history(),
    'RATE_LIMITED: The server is busy with proofs. Please try again.',
    { verdict: 'busy' }
  ],
  ['no database', history(), AGAIN, { isDatabaseAway: true }]
])

test('history: what is proven names the peer as it was spelled, and the page is that of the conversation', async () => {
  const all = relay()
  await all.say(history({ peerKey: BOB.toUpperCase(), before: 9, limit: 3 }), all.join(ALICE))
  const [{ message, publicKey }] = all.proofs as [Proof]
  assert.equal(Buffer.from(message).toString(), `history:${BOB.toUpperCase()}:${NOW}`)
  assert.equal(Buffer.from(publicKey).toString('hex'), ALICE)
  const asked = new Set(all.queries.at(-1))
  for (const value of [conversationId('net', ALICE, BOB), 9, 3, 4_000_000, ALICE])
    assert.ok(asked.has(value), String(value))
})

test('history: 50 messages are asked for when the request does not say how many', async () => {
  const all = relay()
  await all.say(history(), all.join(ALICE))
  assert.ok(all.queries.at(-1)!.includes(50))
})

test('history: a proof opens its page still when the database did not answer at first', async () => {
  const all = relay({ isDatabaseAway: true })
  const session = all.join(ALICE)
  assert.equal(wordsOf(await all.say(history(), session)), AGAIN)
  all.given.isDatabaseAway = false
  assert.deepEqual(wordsOf(await all.say(history(), session)), page([]))
  assert.match(
    String(wordsOf(await all.say(history(), session))),
    /^INVALID_PROOF: This proof has opened this page already/
  )
})

test('history: where too many pages are asked for at once one is refused, and its proof is good still', async () => {
  const all = relay()
  const alice = all.join(ALICE)
  let done = () => {}
  const other = all.context.historyQueue.run('192.0.2.9', () => new Promise<void>((resolve) => (done = resolve)))
  assert.match(String(wordsOf(await all.say(history(), alice))), /^RATE_LIMITED: The server is busy with history/)
  done()
  await other
  assert.deepEqual(wordsOf(await all.say(history(), alice)), page([]))
})

test('history: a failed proof counts for its address', async () => {
  const all = relay({ verdict: 'invalid' })
  const alice = all.join(ALICE)
  for (const _ of [1, 2]) await all.say(history(), alice)
  const answer = wordsOf(await all.say(history(), alice))
  assert.match(String(answer), /^RATE_LIMITED: Too many failed proofs/)
})

const noPart = (member: string) =>
  `INVALID_MESSAGE: ${member} must be the beginning of a key in hex without 0x, or of an address such as ml-dsa:1f, ` +
  'of at most 8192 characters'

/** Bob, among three others of his network and one of another. */
function asBob(all: Relay) {
  for (const key of [LONG, CAROL, ALICE]) all.join(key)
  all.join('00'.repeat(32), { network: 'other' })
  return all.join(BOB)
}
const keys = (...peers: string[]) => ({ type: 'discover_response', peers })
const more = (...peers: string[]) => ({ ...keys(...peers), hasMore: true })

table('discover: the network of the caller, the caller too, in the order of addresses', asBob, [
  ['all', frame('discover', {}), keys(ALICE, BOB, CAROL, LONG)],
  ['a page', frame('discover', {}), more(ALICE, BOB), { discoverPeers: 2 }],
  ['the page after it', frame('discover', { after: BOB.toUpperCase() }), keys(CAROL, LONG), { discoverPeers: 2 }],
  ['after a part of a key', frame('discover', { after: 'b' }), keys(BOB, CAROL, LONG)],
  ['after a long key', frame('discover', { after: LONG }), keys()],
  ['by a prefix, in capital letters', frame('discover', { prefix: 'C3C' }), keys(CAROL)],
  ['by an algorithm', frame('discover', { prefix: 'ml-dsa:' }), keys(LONG)],
  ['of other relays', frame('discover', {}), more(ALICE), { discoverPeers: 1, cluster: 'answers' }],
  ['of other relays that do not answer', frame('discover', {}), AGAIN, { cluster: 'fails' }],
  ['after: no text', frame('discover', { after: 7 }), noPart('after')],
  ['after: empty', frame('discover', { after: '' }), noPart('after')],
  ['prefix: no key', frame('discover', { prefix: 'x' }), noPart('prefix')],
  ['prefix: too long', frame('discover', { prefix: 'a'.repeat(8_193) }), noPart('prefix')]
])

test('register: the list of the others is a page, and the caller takes no place on it', async () => {
  const listed = async (given: Partial<Given>) => {
    const all = relay(given)
    for (const key of [ALICE, BOB, CAROL]) if (key !== ALICE) all.join(key)
    return wordsOf(await all.say(register(), all.stranger()))
  }
  assert.deepEqual(await listed({ discoverPeers: 2 }), { ...REGISTERED, onlinePeers: [BOB, CAROL] })
  const page = { ...REGISTERED, onlinePeers: [BOB], hasMore: true }
  assert.deepEqual(await listed({ discoverPeers: 1 }), page)
  assert.deepEqual(await listed({ discoverPeers: 1, cluster: 'answers' }), page)
  const nobody = { ...REGISTERED, onlinePeers: [], hasMore: true }
  assert.deepEqual(await listed({ cluster: 'fails' }), nobody, 'a list that cannot be read refuses nobody')
})

test('register: a second one on the same socket lists the others again, without the caller', async () => {
  const all = relay({ discoverPeers: 2 })
  const session = all.stranger()
  await all.say(register(), session)
  for (const key of [BOB, CAROL]) all.join(key)
  assert.deepEqual(wordsOf(await all.say(register(), session)), { ...REGISTERED, onlinePeers: [BOB, CAROL] })
})

const request = (targetId: unknown) => frame('request_public_key', { targetId })
const known = (targetId: string, publicKey: string | null) => ({ type: 'public_key_response', targetId, publicKey })

table('request_public_key', asAlice, [
  ['a key that is connected', request(ALICE), known(ALICE, ALICE)],
  ['in capital letters', request(ALICE.toUpperCase()), known(ALICE.toUpperCase(), ALICE)],
  ['a key that was here', request(BOB), known(BOB, BOB), { known: [BOB] }],
  ['a key that never was', request(BOB), known(BOB, null)],
  ['a text that is no key', request('bob'), known('bob', null)],
  ['a connected key while there is no database', request(ALICE), known(ALICE, ALICE), { isDatabaseAway: true }],
  ['no database', request(BOB), AGAIN, { isDatabaseAway: true }],
  ['no targetId', request(undefined), 'INVALID_MESSAGE: Missing targetId'],
  ['a targetId that is a number', request(7), 'INVALID_MESSAGE: targetId must be text of 1 to 8192 characters']
])

test('request_public_key: a key that is connected to another network only is looked up in the own one', async () => {
  const all = relay()
  const alice = all.join(ALICE)
  all.join(BOB, { network: 'other' })
  assert.deepEqual(wordsOf(await all.say(request(BOB), alice)), known(BOB, null))
  assert.deepEqual(all.lookedUp, [['net', BOB]])
})

describe('ack: what it names is received, of a session that offered to acknowledge', () => {
  const rows: [name: string, payload: object, features: string[], left: number][] = [
    ['by seq, and all before it', { seq: 2 }, ['ack'], 1],
    ['by messageHash, the first', { messageHash: 'h1' }, ['ack'], 2],
    ['by both', { messageHash: 'h3', seq: 1 }, ['ack'], 1],
    ['nothing', {}, ['ack'], 3],
    ['an unknown messageHash', { messageHash: 'x' }, ['ack'], 3],
    ['a session that did not offer', { seq: 2 }, [], 3]
  ]
  for (const [name, payload, features, left] of rows) {
    test(name, async () => {
      const all = relay()
      const alice = all.join(ALICE, { features })
      for (const seq of [1, 2, 3]) alice.member!.delivery.offer(entry(seq))
      assert.equal(wordsOf(await all.say(frame('ack', payload), alice)), undefined)
      const owed = [1, 2, 3].filter((seq) => alice.member!.delivery.owes(seq))
      assert.equal(owed.length, left)
    })
  }
})

const NO_SEQ = 'INVALID_MESSAGE: seq must be a whole number of at least 1'

table('ack: wrong shapes', asAlice, [
  ['a seq of 0', frame('ack', { seq: 0 }), NO_SEQ],
  ['a seq that is text', frame('ack', { seq: '1' }), NO_SEQ],
  ['a messageHash that is a number', frame('ack', { messageHash: 7 }), 'INVALID_MESSAGE: messageHash must be text']
])

describe('what cannot be handled at all is refused, with the requestId that is found in it', () => {
  const TOO_LARGE = `INVALID_MESSAGE: Message too large (max ${MAX_FRAME_BYTES} bytes)`
  const filler = `"payload":{"x":"${'x'.repeat(MAX_FRAME_BYTES)}"}`
  const rows: [
    name: string,
    what: 'binary' | 'too-large' | 'internal',
    text: string,
    expected: string,
    echoed?: string
  ][] = [
    ['binary', 'binary', '{"requestId":"r"}', 'INVALID_MESSAGE: Binary frames are not accepted; send JSON as text'],
    ['too large, requestId first', 'too-large', `{"requestId":"r",${filler}}`, TOO_LARGE, 'r'],
    ['too large, requestId last', 'too-large', `{${filler},"requestId":"r\\n"}`, TOO_LARGE, 'r\n'],
    ['too large, without requestId', 'too-large', `{${filler}}`, TOO_LARGE],
    [
      'too large, requestId deep inside',
      'too-large',
      `{"payload":{"requestId":"r"},"x":"${'x'.repeat(300_000)}"}`,
      TOO_LARGE
    ],
    ['too large, requestId a number', 'too-large', `{"requestId":7,${filler}}`, TOO_LARGE],
    ['too large, requestId too long', 'too-large', `{"requestId":"${'r'.repeat(129)}",${filler}}`, TOO_LARGE],
    ['too large, not JSON', 'too-large', `{"requestId":"r" ${'x'.repeat(300_000)}`, TOO_LARGE, 'r'],
    ['internal', 'internal', '{"requestId":"r"}', 'INTERNAL_ERROR: Internal server error', 'r'],
    ['internal, not JSON', 'internal', 'x', 'INTERNAL_ERROR: Internal server error']
  ]
  for (const [name, what, text, expected, echoed] of rows) {
    test(name, () => {
      const { protocol, counted } = relay()
      const answer = protocol.refuse(what, Buffer.from(text))
      const { payload, requestId } = JSON.parse(textOf(answer.frame!))
      assert.deepEqual([`${payload.code}: ${payload.message}`, requestId], [expected, echoed])
      assert.equal(answer.refusal, payload.code)
      assert.equal(counted.length, what === 'internal' ? 0 : 1)
    })
  }
})

test('every frame is counted by its type', async () => {
  const all = relay()
  for (const text of ['{', '[]', '{"type":"x"}', '{"type":"discover","payload":{}}']) {
    await all.say(text, all.stranger())
  }
  assert.deepEqual(all.counted, [undefined, undefined, 'x', 'discover'])
})
