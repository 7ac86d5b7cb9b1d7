import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { nodeIdentity, originOf, readOrigin } from '../../src/audit/node-key.ts'
import { type AuditRecord, canonicalJson, escapeId, parseRecord, recordText } from '../../src/audit/record.ts'
import type { AuditKind } from '../../src/store/audit-inbox.ts'
import {
  InvalidNote,
  openNote,
  parseCheckpoint,
  parseVerifier,
  proofText,
  signNote,
  verifierLine
} from '../../src/tlog/note.ts'
import { decodeBundle, encodeBundle } from '../../src/tlog/tiles.ts'

// The example of the Go package golang.org/x/mod/sumdb/note.
const VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const SIGNATURE = 'x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM='
const NOTE = `${TEXT}\n\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n\u2014 PeterNeumann ${SIGNATURE}\n`

test('a note others signed is opened with its verifier key, and no changed one is', () => {
  const verifier = parseVerifier(VKEY)
  assert.equal(verifierLine(verifier), VKEY)
  assert.equal(openNote(NOTE, verifier), TEXT)
  const wrong = [
    TEXT,
    NOTE.replace('answer', 'answers'),
    NOTE.replace('x08go/ZJ', 'x08go/ZK'),
    NOTE.replace('\u2014 Peter', '- Peter'),
    NOTE.slice(0, -1)
  ]
  for (const note of wrong) assert.throws(() => openNote(note, verifier), InvalidNote)
  for (const line of ['', 'a+b+c', VKEY.replace('c74f', 'c74e'), VKEY.replace('+AR', '+AQ')]) {
    assert.throws(() => parseVerifier(line), InvalidNote)
  }
})

test('a note is signed once and bears a line for each name, which open it alone', async () => {
  const { key, name } = nodeIdentity(generateKeyPairSync('ed25519').privateKey, 'example.com/relay')
  const publicKey = Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url')
  const note = await signNote('text\n', ['example.com/relay/net', name], key)
  assert.match(note, /^text\n\n\u2014 example\.com\/relay\/net \S{92}\n\u2014 example\.com\/relay \S{92}\n$/u)
  for (const each of ['example.com/relay/net', name]) assert.equal(openNote(note, { name: each, publicKey }), 'text\n')
  assert.throws(() => openNote(note, { name: 'example.com/other', publicKey }), /no signature of example\.com\/other/)
})

test('only the one form of a checkpoint is read', () => {
  const root = Buffer.alloc(32, 7)
  const base64 = root.toString('base64')
  assert.deepEqual(parseCheckpoint(`o\n12\n${base64}\n`), { origin: 'o', size: 12, root })
  for (const text of [
    '',
    'o\n1',
    `\n1\n${base64}\n`,
    `o\n01\n${base64}\n`,
    `o\n-1\n${base64}\n`,
    `o\n1e3\n${base64}\n`,
    `o\n1\n${base64.slice(0, 40)}\n`,
    `o\n1\n${base64} \n`
  ]) {
    assert.throws(() => parseCheckpoint(text), InvalidNote)
  }
})

test('a proof has the lines c2sp.org/tlog-proof asks for', () => {
  const note = 'origin\n2\nroot\n\n\u2014 origin sig\n'
  const hash = Buffer.alloc(32)
  assert.equal(proofText(0, [], note), `c2sp.org/tlog-proof@v1\nindex 0\n\n${note}`)
  assert.equal(
    proofText(41, [hash, hash], note),
    `c2sp.org/tlog-proof@v1\nindex 41\n${hash.toString('base64')}\n${hash.toString('base64')}\n\n${note}`
  )
})

test('bundles put two bytes of length before each record', () => {
  const entries = [Buffer.from('a'), Buffer.alloc(0), Buffer.alloc(65_535, 1)]
  const bundle = encodeBundle(entries)
  assert.equal(bundle.subarray(0, 7).toString('hex'), '000161' + '0000' + 'ffff')
  assert.deepEqual(decodeBundle(bundle), entries)
  for (const end of [1, 2, bundle.length - 1]) assert.throws(() => decodeBundle(bundle.subarray(0, end)), RangeError)
})

test('any id becomes printable ASCII, and comes back from it', () => {
  const anyText = fc.string({ unit: 'binary', maxLength: 60 })
  fc.assert(
    fc.property(anyText, (id) => {
      const escaped = escapeId(id)
      assert.match(escaped, /^[ -~]*$/)
      assert.equal(decodeURIComponent(escaped), id)
    })
  )
  assert.equal(escapeId('Zoë 100%\n"\\'), 'Zo%C3%AB 100%25%0A"\\')
})

test('any network and epoch come back from an origin, which is fit for a key name', () => {
  const anyText = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(anyText, fc.integer({ min: 1, max: 99 }), (network, epoch) => {
      const origin = originOf('example.com/relay', network, epoch)
      assert.match(origin, /^[!-*,-~]+$/)
      assert.deepEqual(readOrigin(origin), { network, epoch })
    })
  )
})

test('a record is read back from its canonical bytes alone', () => {
  const record: AuditRecord = {
    ...{
      version: 1,
      type: 'instantMessaging',
      network: 'n',
      from: 'a"\\',
      to: 'b',
      digest: 'd',
      nonce: 1,
      sizeBytes: 0
    },
    ...{ acceptedAtMs: 1e15, salt: '0'.repeat(32) }
  }
  const text = canonicalJson(record)
  assert.equal(
    text,
    `{"acceptedAtMs":1000000000000000,"digest":"d","from":"a\\"\\\\","network":"n","nonce":1,"salt":"${'0'.repeat(32)}","sizeBytes":0,"to":"b","type":"instantMessaging","version":1}`
  )
  assert.deepEqual(parseRecord(Buffer.from(text)), record)
  const wrong = [
    ` ${text}`,
    text.replace('1000000000000000', '1e15'),
    text.replace('"b"', '"\\u0062"'),
    text.replace('"n"', '"ñ"'),
    text.replace('"version":1', '"version":2'),
    text.replace('{', '{"aaa":1,'),
    '[]',
    ''
  ]
  for (const each of wrong) assert.equal(parseRecord(Buffer.from(each)), undefined, each)
})

test('what is written to a log is byte for byte what RFC 8785 makes of it', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 })
  const count = fc.nat(Number.MAX_SAFE_INTEGER)
  const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary)
  const event = fc.record({
    kind: fc.constantFrom<AuditKind>(
      ...(['message', 'key-change', 'identity-release', 'purge', 'administration', 'restore', 'checkpoint'] as const)
    ),
    ...{ network: text, acceptedAt: count, messageSeq: maybe(count), salt: fc.constant('0f'.repeat(16)) },
    ...{ sender: maybe(text), recipient: maybe(text), digest: maybe(text), bytes: maybe(count), entries: maybe(count) }
  })
  fc.assert(
    fc.property(event, count, (row, nonce) => {
      const written = recordText(row, nonce)
      assert.equal(written, canonicalize(JSON.parse(written)))
    })
  )
})
