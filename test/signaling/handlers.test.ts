// Every signaling handler as a table: a frame and a state, and the answer. No socket, no database.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Proof, Verdict } from '../../src/crypto/proof.ts'
import { type Acceptance, NOT_ACCEPTED } from '../../src/delivery/mailbox.ts'
import type { Member } from '../../src/delivery/member.ts'
import { FailedProofs } from '../../src/identity/failed-proofs.ts'
import { addressKey } from '../../src/limits/address.ts'
import { MAX_FRAME_BYTES } from '../../src/protocol/frame.ts'
import { SIGNALING_NETWORK } from '../../src/protocol/signaling.ts'
import type { Answer } from '../../src/session/effect.ts'
import { Challenges } from '../../src/signaling/challenges.ts'
import type { SignalingContext, SignalingSession } from '../../src/signaling/context.ts'
import { createSignaling } from '../../src/signaling/router.ts'
import { SignalingMember } from '../../src/signaling/signaling-member.ts'
import type { ClaimOutcome, Identity, NameOwner } from '../../src/store/identity.ts'
import type { Message, QueueEntry } from '../../src/store/queue-entry.ts'
import { KeyedMutex } from '../../src/util/keyed-mutex.ts'
import { BODIES, FakeSession, fakeAttachments, pagesOf, settle, textOf } from '../helpers/handlers.ts'

const base64 = (length: number) => Buffer.alloc(length, 7).toString('base64')
const identityOf = (keyBytes: number): Identity => ({ encryptionKey: new Uint8Array(keyBytes).fill(1), keyId: 'k' })

/** The collaborators of the handlers, as they are unless a row says otherwise. */
const GIVEN = {
  acceptance: 'live' as Acceptance,
  verdict: 'valid' as Verdict,
  outcome: 'created' as ClaimOutcome,
  isTaken: false,
  /** The clock of challenges, in ms. */
  clock: 0,
  isDatabaseAway: false,
  deadlineMs: 60_000,
  /** When a registration is stored. */
  registered: Promise.resolve(),
  discoverPeers: 3,
  /** Can other relays be asked who is there? Undefined: there are none. */
  cluster: undefined as 'answers' | 'fails' | undefined,
  /** Identities that are known without asking, and those that are looked up. */
  known: {} as Record<string, Identity | undefined>,
  stored: {} as Record<string, Identity>
}
type Given = typeof GIVEN

function relay(changes: Partial<Given> = {}) {
  const given = { ...GIVEN, ...changes }
  const { attachments, mailbox } = fakeAttachments(1_000)
  const [accepted, proofs]: [Message[], Proof[]] = [[], []]
  const [counted, lines]: [unknown[], string[]] = [[], []]
  const whenHere = async <T>(value: T): Promise<T> => {
    if (given.isDatabaseAway) throw new Error('no connection')
    return value
  }
  const failedProofs = new FailedProofs(2)
  const context: SignalingContext = {
    attachments,
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
    failedProofs,
    challenges: new Challenges({ publicOrigins: undefined, clock: () => given.clock }),
    identities: {
      peek: (_network, peer) => (Object.hasOwn(given.known, peer) ? { identity: given.known[peer] } : undefined),
      get: (_network, peer) => whenHere(given.stored[peer]),
      renew: (_network, peer, identity) => void Object.assign(given.known, { [peer]: identity })
    },
    registration: {
      register: async () => {
        await given.registered
        return whenHere(given.outcome)
      },
      ownerOf: () => whenHere<NameOwner>(given.isTaken ? 'other' : 'nobody'),
      identityOf: async ({ encryptionKey, keyId }) => ({ encryptionKey, keyId })
    },
    identityChanged: () => {},
    recordsOf: (_network, { sender, recipient }) => whenHere([`${sender} to ${recipient}`]),
    nameMutex: new KeyedMutex(),
    countFrame: (type) => void counted.push(type),
    quotaPerSender: 100,
    failedRegistrations: 2,
    deadlineMs: given.deadlineMs,
    log: { info: (_facts, line) => void lines.push(line), error: (_facts, line) => void lines.push(line) }
  }
  const protocol = createSignaling(context)
  const stranger = () => new FakeSession<Member>()
  /** A session that is registered under this name. */
  const join = (peer: string, features: readonly string[] = []) => {
    const session = stranger()
    const counter = attachments.counters.open(SIGNALING_NETWORK, peer)
    counter.load({ entries: 0, bytes: 0, lastSeq: 0 })
    const opened = {
      ...{ network: SIGNALING_NETWORK, recipient: peer, counter, isEmpty: true, place: undefined, close: () => {} }
    }
    const own = { keyId: null, features, opensSealed: false }
    const member = new SignalingMember(session as unknown as SignalingSession, opened, own, attachments)
    member.join()
    member.start()
    return session
  }
  const say = (frame: unknown, session: FakeSession<Member>) => {
    const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
    return settle(protocol.handle(text, session as unknown as SignalingSession))
  }
  return { given, attachments, mailbox, accepted, proofs, failedProofs, counted, lines, protocol, stranger, join, say }
}

type Relay = ReturnType<typeof relay>

/** What an answer says, without its time; undefined: nothing. */
function wordsOf({ frame, refusal }: Answer) {
  if (frame === undefined) return undefined
  const { type, payload } = JSON.parse(textOf(frame))
  if (type !== 'error') return { type, ...payload }
  assert.equal(refusal, payload.errorType, 'a refusal is counted by its type')
  return `${payload.errorType}: ${payload.details}`
}

const frame = (type: string, payload: object) => ({ type, payload })
const message = (body: string, targetId = 'bob') =>
  `{"type":"message","payload":{"targetId":${JSON.stringify(targetId)},"message":${body}}}`

const verification = {
  ...{ algorithm: 'ed25519', serializedPublicKey: base64(32), serializedSignedData: base64(64) },
  serializedMessage: Buffer.from([1, 2, 3]).toString('base64')
}
const REGISTER = { clientId: 'alice', publicKey: [1, 2, 3], verification }
const register = (changes: object = {}) => frame('register', { ...REGISTER, ...changes })
const proven = (changes: object) => register({ verification: { ...verification, ...changes } })
const REGISTERED = { type: 'register', success: true, clientId: 'alice' }

type Row = [name: string, frame: unknown, expected: unknown, given?: Partial<Given>]

/** Each row is a test of its own. */
function table(title: string, sessionOf: (all: Relay) => FakeSession<Member>, rows: readonly Row[]) {
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
const asAlice = (all: Relay) => all.join('alice')

const NO_FRAME = 'INVALID_MESSAGE: Invalid message format'

table('a text that is no frame of the protocol is refused', asStranger, [
  ['not JSON', '{"type":', NO_FRAME],
  ['nothing', '', NO_FRAME],
  ['an array', '[]', NO_FRAME],
  ['null', 'null', NO_FRAME],
  ['no type', '{"payload":{}}', NO_FRAME],
  ['no payload', '{"type":"discover"}', NO_FRAME],
  ['an unknown type', frame('hello', {}), 'INVALID_MESSAGE: Unknown message type: hello'],
  ['a type that every object has', frame('constructor', {}), 'INVALID_MESSAGE: Unknown message type: constructor'],
  ['a type that is no text', '{"type":7,"payload":{}}', 'INVALID_MESSAGE: Unknown message type: number'],
  ['a long type', frame('é'.repeat(100), {}), `INVALID_MESSAGE: Unknown message type: ${'é'.repeat(64)}`],
  [
    'a type with half a surrogate pair',
    '{"type":"\\ud800","payload":{}}',
    'INVALID_MESSAGE: Unknown message type: \ufffd'
  ]
])

const required = (purpose: string) => `REGISTRATION_REQUIRED: You must register before ${purpose}`

table('a socket that is not registered may only register', asStranger, [
  ['discover', frame('discover', {}), required('discovering peers')],
  ['message', message('"x"'), required('sending messages')],
  ['message of a wrong shape', frame('message', {}), required('sending messages')],
  ['request_public_key', frame('request_public_key', { targetId: 'bob' }), required('requesting public keys')],
  ['request_record', frame('request_record', {}), required('requesting records')],
  ['debug_question', frame('debug_question', {}), required('sending debug messages')],
  ['ack', frame('ack', { seq: 1 }), required('acknowledging')],
  ['peer_response', frame('peer_response', {}), required('responding to questions')]
])

const NO_BYTES =
  'INVALID_PUBLIC_KEY: Invalid public key format: publicKey must be a list of 1 to 4096 numbers from 0 to 255'
const noText = (member: string) =>
  `INVALID_MESSAGE: ${member} must be text of 1 to 256 characters, without NUL and halves of surrogate pairs`

table('register: the error names the part that is wrong', asStranger, [
  ['no clientId', register({ clientId: undefined }), 'INVALID_MESSAGE: Invalid message schema'],
  ['an empty clientId', register({ clientId: '' }), 'INVALID_MESSAGE: Invalid message schema'],
  ['a clientId that is too long', register({ clientId: 'x'.repeat(257) }), noText('clientId')],
  ['no publicKey', register({ publicKey: undefined }), 'INVALID_MESSAGE: Invalid message schema'],
  ['a publicKey that is text', register({ publicKey: 'AQID' }), NO_BYTES],
  ['an empty publicKey', register({ publicKey: [] }), NO_BYTES],
  ['a publicKey with 256', register({ publicKey: [256] }), NO_BYTES],
  ['no verification', register({ verification: undefined }), 'INVALID_MESSAGE: Invalid message schema'],
  ['an empty verification', register({ verification: {} }), 'INVALID_PROOF: Invalid proof'],
  [
    'features that are no list',
    register({ features: 'ack' }),
    'INVALID_MESSAGE: features must be a list of at most 16 items'
  ],
  ['an unknown algorithm', proven({ algorithm: 'rsa' }), 'INVALID_PROOF: Invalid proof'],
  ['an algorithm that every object has', proven({ algorithm: 'constructor' }), 'INVALID_PROOF: Invalid proof'],
  ['a signature that is not base64', proven({ serializedSignedData: '-_-_' }), 'INVALID_PROOF: Invalid proof'],
  ['a proof for another key', proven({ serializedMessage: base64(3) }), 'INVALID_PROOF: Invalid proof'],
  ['a proof for the beginning of the key', proven({ serializedMessage: 'AQI=' }), 'INVALID_PROOF: Invalid proof'],
  ['a proof for a longer key', proven({ serializedMessage: 'AQIDBA==' }), 'INVALID_PROOF: Invalid proof']
])

const TAKEN = 'CLIENT_ID_TAKEN: Client ID alice is already taken: it belongs to another key'
const CONNECTED =
  'CLIENT_ID_TAKEN: Client ID alice is already taken: it is connected, perhaps from another tab or device'
const NOT_REGISTERED = 'INTERNAL_ERROR: Failed to complete registration. Please try again.'

table('register: what the proof and the name are worth decides', asStranger, [
  ['a new name', register(), REGISTERED],
  ['a known name', register(), REGISTERED, { outcome: 'confirmed' }],
  ['a new encryption key', register(), REGISTERED, { outcome: 'rekeyed' }],
  ['with members that are not known', register({ extra: 1, features: ['ack', 'else'] }), REGISTERED],
  ['a proof that does not hold', register(), 'INVALID_PROOF: Invalid proof', { verdict: 'invalid' }],
  [
    'too many proofs at once',
    register(),
    'INTERNAL_ERROR: The server is busy with registrations. Please try again.',
    { verdict: 'busy' }
  ],
  ['a name of somebody else', register(), TAKEN, { outcome: 'taken' }],
  ['no database', register(), NOT_REGISTERED, { isDatabaseAway: true }]
])

test('register: a challenge that is too old is not answered any more', async () => {
  const all = relay()
  const session = all.stranger()
  const ask = async () => wordsOf(await all.say(frame('challenge', { origin: 'ws://localhost:3005' }), session))
  const answer = () => all.say(register({ features: ['challenge'] }), session)
  assert.ok((await ask()) instanceof Object)
  all.given.clock = 60_000
  assert.equal(wordsOf(await answer()), 'INVALID_PROOF: Invalid proof', 'just in time; the proof is none')
  await ask()
  all.given.clock = 120_001
  const expired = 'This connection has no challenge to answer any more. Ask for a new one and sign it.'
  assert.equal(wordsOf(await answer()), `CHALLENGE_EXPIRED: ${expired}`)
})

test('register: the key that is proven is the one that was sent', async () => {
  const all = relay()
  await all.say(register(), all.stranger())
  const [proof] = all.proofs
  assert.deepEqual([...proof!.message], [1, 2, 3])
  assert.deepEqual([proof!.algorithm, proof!.publicKey.length, proof!.signature.length], ['ed25519', 32, 64])
})

test('register: a socket that is registered gets the same answer again, and no other name', async () => {
  const all = relay()
  const session = all.stranger()
  await all.say(register(), session)
  assert.deepEqual(wordsOf(await all.say(register(), session)), REGISTERED)
  assert.equal(all.proofs.length, 1, 'the second proof is not looked at')
  const other = await all.say(register({ clientId: 'bob' }), session)
  assert.equal(wordsOf(other), 'INVALID_MESSAGE: This socket is registered as alice')
})

test('register: a connected name is taken while its socket answers, and given up when it does not', async () => {
  const all = relay()
  const old = all.join('alice')
  assert.equal(wordsOf(await all.say(register(), all.stranger())), CONNECTED)
  assert.deepEqual(old.closes, [])
  old.lives = false
  const session = all.stranger()
  assert.deepEqual(wordsOf(await all.say(register(), session)), REGISTERED)
  assert.deepEqual(old.closes, ['replaced'])
  assert.deepEqual(all.attachments.registry.sessions(SIGNALING_NETWORK, 'alice'), [session.member])
})

test('register: who does not own a name has its socket neither asked nor replaced', async () => {
  const all = relay({ isTaken: true })
  const old = all.join('alice')
  old.lives = false
  assert.equal(wordsOf(await all.say(register(), all.stranger())), TAKEN)
  assert.deepEqual([old.asked, old.closes], [0, []])
})

test('register: of sockets that claim a name at the same instant one wins', async () => {
  const all = relay()
  const sessions = Array.from({ length: 5 }, () => all.stranger())
  const answers = await Promise.all(sessions.map((session) => all.say(register(), session)))
  assert.deepEqual(answers.map(wordsOf), [REGISTERED, CONNECTED, CONNECTED, CONNECTED, CONNECTED])
})

test('register: a mailbox that cannot be looked into refuses the registration, and stays closed', async () => {
  const all = relay()
  all.mailbox.contents = 'unavailable'
  const session = all.stranger()
  assert.equal(wordsOf(await all.say(register(), session)), NOT_REGISTERED)
  assert.equal(session.member, undefined)
  assert.equal(all.attachments.counters.find(SIGNALING_NETWORK, 'alice'), undefined)
})

test('register: a socket that closed meanwhile is told nothing and speaks for nobody', async () => {
  const all = relay()
  const session = all.stranger()
  const answer = all.say(register(), session)
  session.isOpen = false
  assert.equal(wordsOf(await answer), undefined)
  assert.equal(all.attachments.registry.peerCount(SIGNALING_NETWORK), 0)
  assert.equal(all.attachments.counters.find(SIGNALING_NETWORK, 'alice'), undefined)
})

test('register: past the failures that a socket may have it is closed behind the answer', async () => {
  const all = relay({ verdict: 'invalid' })
  const session = all.stranger()
  for (const isLast of [false, false, true]) {
    const answer = await all.say(register(), session)
    assert.equal(session.isOpen, true)
    answer.after?.()
    assert.deepEqual(session.closes, isLast ? ['policy'] : [])
  }
})

test('register: what fails for a reason of ours is held against neither the socket nor its address', async () => {
  for (const given of [{ verdict: 'busy' }, { isDatabaseAway: true }] as const) {
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
  all.given.registered = new Promise((resolve) => {
    store = resolve
  })
  assert.equal(wordsOf(await all.say(register(), session)), NOT_REGISTERED)
  store()
  await new Promise(setImmediate)
  assert.equal(session.member, undefined)
  assert.equal(all.attachments.registry.peerCount(SIGNALING_NETWORK), 0)
  assert.equal(all.attachments.counters.find(SIGNALING_NETWORK, 'alice'), undefined)
})

test('register: past the failures that an address may have no proof of it is checked', async () => {
  const all = relay({ verdict: 'invalid' })
  for (const _ of [1, 2]) await all.say(register(), all.stranger())
  const answer = wordsOf(await all.say(register(), all.stranger()))
  assert.match(String(answer), /^INTERNAL_ERROR: Too many failed registrations of this client id from this address/)
  assert.equal(all.proofs.length, 2)
})

test('register: the backlog starts behind the answer', async () => {
  const all = relay()
  all.mailbox.contents = { entries: 1, bytes: 3, lastSeq: 7 }
  all.mailbox.stored = [entry(7)]
  const session = all.stranger()
  const { after } = await all.say(register(), session)
  assert.deepEqual(session.pushed, [])
  after!()
  await new Promise(setImmediate)
  assert.deepEqual(
    session.pushed.map((pushed) => JSON.parse(pushed)),
    [{ type: 'message', payload: { message: 'x', fromId: 's', timestamp: 5 } }]
  )
})

test('register: an ML-DSA proof, an ML-KEM-768 key and no features make an old client, all three', async () => {
  const old = {
    publicKey: Array(1_184).fill(7),
    verification: { ...verification, algorithm: 'ml-dsa', serializedMessage: base64(1_184) }
  }
  const short = { publicKey: [7, 7, 7], verification: { ...old.verification, serializedMessage: base64(3) } }
  const other = { verification: { ...old.verification, algorithm: 'falcon' } }
  const rows: [object, boolean][] = [
    [old, true],
    [{ ...old, features: [] }, false],
    [{ ...old, ...other }, false],
    [short, false]
  ]
  for (const [changes, isOld] of rows) {
    const all = relay()
    const session = all.stranger()
    const answer = await all.say(register(changes), session)
    assert.deepEqual(wordsOf(answer), REGISTERED)
    assert.equal(session.putsRepliesFirst, false)
    answer.after!()
    assert.equal(session.putsRepliesFirst, isOld, JSON.stringify(changes).slice(-80))
  }
})

/** Alice, who joined in the middle of five. */
function asOneOfFive(all: Relay) {
  const sessions = ['carol', '😀', 'alice', '\uff5e', 'bob'].map((name) => all.join(name))
  return sessions[2]!
}
const names = (...peers: string[]) => ({ type: 'discover', peers })
const more = (...peers: string[]) => ({ ...names(...peers), hasMore: true })
const AGAIN = 'INTERNAL_ERROR: The server cannot do this now. Please try again.'

table('discover: who is connected, the caller too, in the order of their names', asOneOfFive, [
  [
    'all, when they are not too many',
    frame('discover', {}),
    names('alice', 'bob', 'carol', '\uff5e', '😀'),
    { discoverPeers: 5 }
  ],
  ['a page, when they are', frame('discover', {}), more('alice', 'bob', 'carol')],
  ['the page after it', frame('discover', { after: 'carol' }), names('\uff5e', '😀')],
  ['after a name nobody has', frame('discover', { after: 'b' }), more('bob', 'carol', '\uff5e')],
  ['after the last', frame('discover', { after: '😀' }), names()],
  ['by a prefix', frame('discover', { prefix: 'bo' }), names('bob')],
  ['by a prefix nobody has', frame('discover', { prefix: 'bobb' }), names()],
  ['by a prefix, after a name before it', frame('discover', { prefix: 'c', after: 'alice' }), names('carol')],
  ['by a prefix, after a name behind it', frame('discover', { prefix: 'a', after: 'b' }), names()],
  ['of other relays', frame('discover', {}), more('alice', 'bob', 'carol'), { cluster: 'answers' }],
  ['of other relays that do not answer', frame('discover', {}), AGAIN, { cluster: 'fails' }],
  ['after: no text', frame('discover', { after: 7 }), noText('after')],
  ['after: null', frame('discover', { after: null }), noText('after')],
  ['after: empty', frame('discover', { after: '' }), noText('after')],
  ['after: too long', frame('discover', { after: 'x'.repeat(257) }), noText('after')],
  ['prefix: a list', frame('discover', { prefix: ['a'] }), noText('prefix')],
  ['prefix: too long', frame('discover', { prefix: 'x'.repeat(257) }), noText('prefix')]
])

const request = (targetId: unknown) => frame('request_public_key', { targetId })

table('request_public_key', asAlice, [
  [
    'a key that is known',
    request('bob'),
    { type: 'public_key_response', peerId: 'bob', publicKey: [1, 1] },
    { known: { bob: identityOf(2) } }
  ],
  [
    'a key that is looked up',
    request('bob'),
    { type: 'public_key_response', peerId: 'bob', publicKey: [1, 1, 1] },
    { stored: { bob: identityOf(3) } }
  ],
  [
    'nobody, as is known without a database',
    request('bob'),
    'PEER_NOT_FOUND: Target peer bob not found',
    { known: { bob: undefined }, isDatabaseAway: true }
  ],
  ['nobody', request('bob'), 'PEER_NOT_FOUND: Target peer bob not found'],
  [
    'no database',
    request('bob'),
    'INTERNAL_ERROR: Failed to look up the public key. Please try again.',
    { isDatabaseAway: true }
  ],
  ['no targetId', request(undefined), 'INVALID_MESSAGE: Missing target ID'],
  ['a targetId that is a number', request(7), noText('targetId')]
])

const DIGEST = 'ab'.repeat(32)
const records = (changes: object) =>
  frame('request_record', { fromId: 'alice', targetId: 'bob', digest: DIGEST, ...changes })
const told = (fromId: string, targetId: string) => ({
  ...{ type: 'record_response', fromId, targetId, digest: DIGEST },
  records: [`${fromId} to ${targetId}`]
})
const NOT_YOURS = 'INVALID_MESSAGE: The record of a message is told to its sender and its recipient alone'
const NO_QUESTION = 'INVALID_MESSAGE: Missing fromId, targetId or digest'

table('request_record', asAlice, [
  ['of a message that was sent', records({}), told('alice', 'bob')],
  ['of a message that was received', records({ fromId: 'bob', targetId: 'alice' }), told('bob', 'alice')],
  ['of a message to oneself', records({ targetId: 'alice' }), told('alice', 'alice')],
  ['of a message of others', records({ fromId: 'carol' }), NOT_YOURS],
  [
    'no database',
    records({}),
    'INTERNAL_ERROR: Failed to look up the record. Please try again.',
    { isDatabaseAway: true }
  ],
  ['no fromId', records({ fromId: undefined }), NO_QUESTION],
  ['no targetId', records({ targetId: '' }), NO_QUESTION],
  ['no digest', records({ digest: null }), NO_QUESTION],
  [
    'a digest in capitals',
    records({ digest: 'AB'.repeat(32) }),
    'INVALID_MESSAGE: digest must be 64 hexadecimal digits'
  ],
  ['a fromId that is a number', records({ fromId: 7 }), noText('fromId')]
])

const MISSING = 'INVALID_MESSAGE: Missing required message fields'
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`

table('message: what became of it decides the answer', asAlice, [
  ['the recipient is connected', message('"x"'), undefined],
  [
    'the recipient is away',
    message('"x"'),
    {
      ...{ type: 'message_queued', targetId: 'bob', status: 'offline' },
      message: 'Message stored for offline delivery'
    },
    { acceptance: 'queued' }
  ],
  [
    'too much of the sender waits',
    message('"x"'),
    'INTERNAL_ERROR: Offline message limit reached (100 messages). Please wait for recipient to come online.',
    { acceptance: 'quota' }
  ],
  [
    'too much waits for the recipient',
    message('"x"'),
    'INTERNAL_ERROR: Too many messages are waiting for this recipient. Please try again later.',
    { acceptance: 'recipient_full' }
  ],
  [
    'too much of the sender was stored today',
    message('"x"'),
    'INTERNAL_ERROR: This sender has stored too much in the last 24 hours. Please send less, or later.',
    { acceptance: 'daily_bytes' }
  ],
  ['a busy server', message('"x"'), 'INTERNAL_ERROR: The server is busy. Please try again.', { acceptance: 'busy' }],
  [
    'no database',
    message('"x"'),
    'INTERNAL_ERROR: Failed to store message. Please try again.',
    { acceptance: 'unavailable' }
  ],
  [
    'a recipient who cannot be looked up',
    message('"x"'),
    'INTERNAL_ERROR: Failed to store message. Please try again.',
    { isDatabaseAway: true }
  ]
])

table('message: what is not passed on', asAlice, [
  ['no targetId', '{"type":"message","payload":{"message":"x"}}', MISSING],
  ['a targetId with NUL', message('"x"', '\u0000'), noText('targetId')],
  ['no message', '{"type":"message","payload":{"targetId":"bob"}}', MISSING],
  ...['null', '0', '""', 'false'].map((body): Row => [`the message ${body}`, message(body), MISSING]),
  ['a body of 65 levels', message(nested(65)), 'INVALID_MESSAGE: message: nested deeper than 64 levels'],
  ['a body of 10,001 values', message(`[${'1,'.repeat(9_999)}1]`), 'INVALID_MESSAGE: message: more than 10000 values'],
  ['a body of 64 levels is', message(nested(64)), undefined],
  ['a body of 10,000 values is', message(`[${'1,'.repeat(9_998)}1]`), undefined]
])

test('message: everything said of it is a notification, since its sender waits for no answer', async () => {
  for (const acceptance of ['queued', ...NOT_ACCEPTED] as const) {
    const all = relay({ acceptance })
    const answer = await all.say(message('"x"'), all.join('alice'))
    assert.equal(answer.isNotification, true, acceptance)
  }
  const all = relay({ known: { bob: identityOf(1_184) } })
  for (const body of [nested(65), '"x"']) {
    assert.equal((await all.say(message(body), all.join('alice'))).isNotification, true)
  }
})

describe('message: the mailbox is given the very text of the body', () => {
  for (const [name, body] of Object.entries({ ...BODIES, 'a text': '"é"', 'a number': '1.50', true: 'true' })) {
    test(name, async () => {
      const all = relay({ known: { bob: undefined } })
      for (const text of [message(body), `{"payload" : {"message":\n${body} ,"targetId":"bob"},"type":"message"}`]) {
        await all.say(text, all.join('alice'))
        const { sealed, bytes, ...rest } = all.accepted.pop()!
        assert.deepEqual([sealed, bytes], [body, Buffer.byteLength(body)])
        assert.deepEqual(rest, {
          ...{ network: SIGNALING_NETWORK, sender: 'alice', recipient: 'bob', digest: null, keyId: null }
        })
      }
    })
  }
})

test('message: of several members with one name the last one counts, as for JSON.parse', async () => {
  const all = relay()
  const text =
    '{"type":"message","payload":{"targetId":"bob","message":1,"message":2.0},' +
    '"payload":{"targetId":"carol","m\\u0065ssage":3.0}}'
  await all.say(text, all.join('alice'))
  assert.deepEqual([all.accepted[0]!.recipient, all.accepted[0]!.sealed], ['carol', '3.0'])
})

test('message: it is kept for the key that the recipient has registered', async () => {
  const all = relay({ stored: { bob: identityOf(32) } })
  await all.say(message('"x"'), all.join('alice'))
  assert.equal(all.accepted[0]!.keyId, 'k')
})

const SHAPE = 'INVALID_MESSAGE: message must be an ml-kem-aes object with base64 data for this recipient'
const kem = (changes: object = {}) =>
  message(
    JSON.stringify({
      algorithm: 'ml-kem-aes',
      serializedEncryptedData: base64(28),
      serializedCipherText: base64(1_088),
      ...changes
    })
  )
const toKem: Partial<Given> = { known: { bob: identityOf(1_184) } }

table('message: to an ML-KEM-768 key only what its client can open is passed on', asAlice, [
  ['the shortest body', kem(), undefined, toKem],
  ['a longer one', kem({ serializedEncryptedData: base64(5_000) }), undefined, toKem],
  ['base64 with white space', kem({ serializedEncryptedData: `${base64(28)}\n ` }), undefined, toKem],
  ['base64 without padding', kem({ serializedEncryptedData: base64(28).replace(/=+$/, '') }), undefined, toKem],
  ['a key that was looked up', message('"x"'), SHAPE, { stored: { bob: identityOf(1_184) } }],
  ['text', message('"x"'), SHAPE, toKem],
  ['a list', message('[1]'), SHAPE, toKem],
  ['another algorithm', kem({ algorithm: 'rsa' }), SHAPE, toKem],
  ['no data', kem({ serializedEncryptedData: undefined }), SHAPE, toKem],
  ['data that is not base64', kem({ serializedEncryptedData: '-_' }), SHAPE, toKem],
  ['a ciphertext that is no text', kem({ serializedCipherText: [1] }), SHAPE, toKem],
  ...[1_087, 1_089].map(
    (length): Row => [
      `a ciphertext of ${length} bytes`,
      kem({ serializedCipherText: base64(length) }),
      'INVALID_MESSAGE: message: serializedCipherText must have 1088 bytes for this recipient',
      toKem
    ]
  ),
  [
    'data of 27 bytes',
    kem({ serializedEncryptedData: base64(27) }),
    'INVALID_MESSAGE: message: serializedEncryptedData must have at least 28 bytes for this recipient',
    toKem
  ],
  ['a key of another length takes anything', message('"x"'), undefined, { known: { bob: identityOf(1_183) } }]
])

const entry = (seq: number): QueueEntry => ({
  ...{ seq, network: SIGNALING_NETWORK, sender: 's', recipient: 'alice', digest: null, sealed: '"x"', bytes: 3 },
  ...{ keyId: null, slot: false, acceptedAt: 5, deliveries: 0 }
})

test('ack: this entry and all before it are received, of a session that offered to acknowledge', async () => {
  for (const [features, left] of [
    [['ack'], 1],
    [[], 3]
  ] as const) {
    const all = relay()
    const alice = all.join('alice', features)
    for (const seq of [1, 2, 3]) alice.member!.delivery.offer(entry(seq))
    assert.equal(wordsOf(await all.say(frame('ack', { seq: 2 }), alice)), undefined)
    assert.equal(alice.member!.delivery.unreceipted.messages, left)
  }
})

const NO_SEQ = 'INVALID_MESSAGE: seq must be a whole number of at least 1'

table('ack: a seq is an integer from 1 on', asAlice, [
  ['none', frame('ack', {}), 'INVALID_MESSAGE: Missing seq'],
  ['0', frame('ack', { seq: 0 }), NO_SEQ],
  ['text', frame('ack', { seq: '1' }), NO_SEQ],
  ['one that was never sent', frame('ack', { seq: 99 }), undefined]
])

test('debug_question: the server asks something back, each time with another id', async () => {
  const all = relay()
  const alice = all.join('alice')
  const ids = new Set<string>()
  for (const _ of [1, 2]) {
    const { questionId, ...question } = wordsOf(await all.say(frame('debug_question', {}), alice))
    assert.deepEqual(question, { type: 'server_question', question: { text: 'Is this connection working?' } })
    ids.add(questionId)
  }
  assert.equal(ids.size, 2)
})

test('peer_response: it is never answered', async () => {
  const all = relay()
  assert.equal(wordsOf(await all.say(frame('peer_response', { questionId: 'x' }), all.join('alice'))), undefined)
})

test('what cannot be handled at all is refused in words of its own', () => {
  const { protocol, counted } = relay()
  const data = Buffer.from('{}')
  assert.equal(
    wordsOf(protocol.refuse('binary', data)),
    'INVALID_MESSAGE: Binary frames are not accepted; send JSON as text'
  )
  assert.equal(
    wordsOf(protocol.refuse('too-large', data)),
    `INVALID_MESSAGE: Message too large (max ${MAX_FRAME_BYTES} bytes)`
  )
  assert.deepEqual(counted, [undefined, undefined])
  assert.equal(wordsOf(protocol.refuse('internal', data)), 'INTERNAL_ERROR: Internal server error')
  assert.equal(counted.length, 2, 'a frame that failed was counted when it was handled')
})

test('every frame is counted by its type', async () => {
  const all = relay()
  for (const text of ['{', '[]', '{"type":"x"}', '{"type":"discover","payload":{}}'])
    await all.say(text, all.stranger())
  assert.deepEqual(all.counted, [undefined, undefined, 'x', 'discover'])
})
