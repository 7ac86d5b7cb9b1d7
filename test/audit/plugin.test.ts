import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { PublishedLogs } from '../../src/audit/published.ts'
import { insertAuditEvents } from '../../src/store/audit-inbox.ts'
import { openNote, parseCheckpoint, parseVerifier } from '../../src/tlog/note.ts'
import { decodeBundle } from '../../src/tlog/tiles.ts'
import { leafHash, rootOf } from '../../src/tlog/tree.ts'
import { until } from '../helpers/wait.ts'
import { verifyInclusion } from '../tlog/proofs.ts'
import { ADMIN, messages, openTestTrail, startAuditServer } from './helpers.ts'

const authorization = ADMIN

async function served(t: TestContext, count = 600, settings: Parameters<typeof startAuditServer>[1] = {}) {
  const trail = await openTestTrail(t, { batchEvents: 1_000 })
  await trail.record(messages(count))
  const server = await startAuditServer(t, { url: trail.url, dataDir: trail.dataDir, ...settings })
  const get = (path: string, headers: Record<string, string> = {}) =>
    server.app.inject({ url: `/audit/${path}`, headers })
  return { ...server, trail, get }
}

test('checkpoint, tiles, bundles and keys have the bytes the C2SP formats give them', async (t) => {
  const { get } = await served(t)
  const vkey = await get('vkey')
  const verifier = parseVerifier(vkey.body.trim())
  assert.equal(verifier.name, 'relay.example/logs')
  const checkpoint = await get('signaling/checkpoint')
  assert.equal(checkpoint.headers['content-type'], 'text/plain; charset=utf-8')
  assert.equal(checkpoint.headers['cache-control'], 'no-cache')
  const text = openNote(checkpoint.body, verifier)
  assert.match(text, /^relay\.example\/logs\/signaling\n600\n[A-Za-z0-9+/]{43}=\n$/)
  assert.equal(text, openNote(checkpoint.body, parseVerifier((await get('signaling/vkey')).body.trim())))
  assert.match(
    checkpoint.body.slice(text.length),
    /^\n\u2014 relay\.example\/logs\/signaling [A-Za-z0-9+/]{91}=\n\u2014 relay\.example\/logs [A-Za-z0-9+/]{91}=\n$/u
  )

  const paths = ['000', '001', '002.p/88']
  const bundles = await Promise.all(paths.map((path) => get(`signaling/tile/entries/${path}`, { authorization })))
  const entries = bundles.flatMap((bundle) => decodeBundle(bundle.rawPayload))
  assert.equal(entries.length, 600)
  const leaves = entries.map((entry) => leafHash(entry))
  const tiles = await Promise.all(paths.map((path) => get(`signaling/tile/0/${path}`)))
  assert.deepEqual(Buffer.concat(tiles.map((tile) => tile.rawPayload)), Buffer.concat(leaves))
  const upper = await get('signaling/tile/1/000.p/2')
  assert.deepEqual(upper.rawPayload, Buffer.concat([rootOf(leaves.slice(0, 256)), rootOf(leaves.slice(256, 512))]))
  assert.deepEqual(Buffer.from(parseCheckpoint(text).root), Buffer.from(rootOf(leaves)))
  for (const [answer, cache] of [
    [tiles[0], 'public, max-age=31536000, immutable'],
    [tiles[2], 'public, max-age=60'],
    [bundles[0], 'private, max-age=31536000, immutable']
  ] as const) {
    assert.equal(answer?.headers['content-type'], 'application/octet-stream')
    assert.equal(answer?.headers['cache-control'], cache)
  }
})

test('a record is canonical JSON, byte for byte', async (t) => {
  const { get } = await served(t, 1)
  const [entry] = decodeBundle((await get('signaling/tile/entries/000.p/1', { authorization })).rawPayload)
  const text = entry!.toString()
  const { salt } = JSON.parse(text)
  const digest = createHash('sha256').update('body 0').digest('hex')
  assert.equal(
    text,
    `{"acceptedAtMs":1700000000000,"digest":"${digest}","from":"sender-0","network":"signaling","nonce":1,"salt":"${salt}","sizeBytes":100,"to":"recipient-0","type":"instantMessaging","version":1}`
  )
})

test('whoever knows the hash of a record gets a proof that needs nothing else', async (t) => {
  const { get } = await served(t)
  const verifier = parseVerifier((await get('vkey')).body.trim())
  const entries = decodeBundle((await get('signaling/tile/entries/001', { authorization })).rawPayload)
  for (const index of [256, 300, 511]) {
    const entry = entries[index - 256]!
    const answer = await get(`signaling/proof/${createHash('sha256').update(entry).digest('hex')}`)
    assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
    const [, named, path, note] = /^c2sp\.org\/tlog-proof@v1\nindex (\d+)\n((?:[A-Za-z0-9+/]{43}=\n)*)\n(.*)$/s.exec(
      answer.body
    )!
    assert.equal(named, String(index))
    const { size, root } = parseCheckpoint(openNote(note!, verifier))
    const hashes = path!
      .trim()
      .split('\n')
      .map((line) => Buffer.from(line, 'base64'))
    verifyInclusion(leafHash(entry), index, size, hashes, root)
  }
})

test('what is not there, or cannot be, is 404 with a JSON body', async (t) => {
  const { get } = await served(t)
  const hash = '0'.repeat(64)
  const paths = [
    ...['nobody/checkpoint', 'nobody/vkey', 'nobody/tile/0/000', `nobody/proof/${hash}`, `signaling/proof/${hash}`],
    ...[
      'signaling/proof/xyz',
      `signaling/proof/${hash.toUpperCase()}A`,
      'signaling/tile/0/002',
      'signaling/tile/0/002.p/89'
    ],
    ...[
      'signaling/tile/0/003.p/1',
      'signaling/tile/2/000.p/1',
      'signaling/tile/1/000',
      'signaling/tile/0/0',
      'signaling/tile/x'
    ],
    ...[
      'signaling/tile/entries/002',
      'signaling/tile/',
      'signaling/other',
      `${'n'.repeat(129)}/checkpoint`,
      '%00/checkpoint',
      'signaling/checkpoint/',
      'signaling/tile/0/000/',
      'signaling/tile/0/000.p/0',
      'signaling/tile/0/000.p/256',
      'signaling/tile/0/x000/000',
      'signaling/tile/-1/000',
      'signaling/tile/64/000',
      'signaling/tile/entries/..%2f..%2fcheckpoint',
      'signaling',
      ''
    ]
  ]
  for (const path of paths) {
    const answer = await get(path, { authorization })
    assert.equal(answer.statusCode, 404, path)
    assert.equal(typeof answer.json().message, 'string', path)
    if (/^(signaling|nobody)\/(tile\/\d|checkpoint$|proof|vkey)/.test(path)) {
      assert.equal(answer.headers['cache-control'], 'no-store', path)
    }
  }
})

test('records want the token unless the network is public; hashes and checkpoints never do', async (t) => {
  const { get } = await served(t, 300, { isPublic: (network) => network === 'open' })
  for (const headers of [{}, { authorization: 'Bearer wrong' }] as Record<string, string>[]) {
    const refused = await get('signaling/tile/entries/000', headers)
    assert.equal(refused.statusCode, 401)
    assert.equal(refused.headers['www-authenticate'], 'Bearer')
    assert.equal(refused.json().error, 'Unauthorized')
  }
  for (const path of ['signaling/tile/0/000', 'signaling/tile/1/000.p/1', 'signaling/checkpoint']) {
    assert.equal((await get(path)).statusCode, 200)
  }
})

test('a public network shows its records to everybody, compressed when asked', async (t) => {
  const { get } = await served(t, 300, { isPublic: () => true })
  const plain = await get('signaling/tile/entries/000')
  assert.equal(plain.headers['cache-control'], 'public, max-age=31536000, immutable')
  const small = await get('signaling/tile/entries/000', { 'accept-encoding': 'gzip' })
  assert.equal(small.headers['content-encoding'], 'gzip')
  assert.deepEqual(gunzipSync(small.rawPayload), plain.rawPayload)
})

test('a page of any origin may read checkpoints and tiles, and records with the token it sends', async (t) => {
  const { app, get } = await served(t, 300, { requestsPerMinute: 5 })
  for (const path of ['signaling/checkpoint', 'signaling/tile/0/000', 'signaling/tile/0/009', 'vkey', 'vkey', 'vkey']) {
    const { headers } = await get(path, { origin: 'https://auditor.example' })
    assert.equal(headers['access-control-allow-origin'], '*', path)
    assert.equal(headers['cross-origin-resource-policy'], 'cross-origin', path)
  }
  const asked = await app.inject({
    ...{ method: 'OPTIONS', url: '/audit/signaling/tile/entries/000', remoteAddress: '192.0.2.7' },
    headers: { origin: 'https://auditor.example', 'access-control-request-headers': 'authorization' }
  })
  assert.equal(asked.statusCode, 204)
  assert.equal(asked.headers['access-control-allow-headers'], 'authorization')
})

test('nothing is served before it is under the published checkpoint', async (t) => {
  const trail = await openTestTrail(t)
  await trail.record(messages(300))
  await trail.sql`update audit_log set published_size = 280`
  const logs = new PublishedLogs(trail.database)
  const log = (await logs.find('signaling'))!
  assert.equal(await logs.tile(log, { level: 0, index: 1 }, 25), undefined)
  assert.equal((await logs.tile(log, { level: 0, index: 1 }, 24))?.length, 24 * 32)
  assert.equal(await logs.bundle(log, 1, 25), undefined)
  const [row] = await trail.sql<{ hash: Buffer }[]>`select sha256(entry) as hash from audit_entry where idx = 290`
  assert.equal(await logs.proof(log, row!.hash), undefined)
})

test('an address that asks too often is told when to come back', async (t) => {
  const { get } = await served(t, 1, { requestsPerMinute: 2 })
  await get('vkey')
  await get('vkey')
  const refused = await get('signaling/checkpoint')
  assert.equal(refused.statusCode, 429)
  assert(Number(refused.headers['retry-after']) > 0)
  assert.equal(refused.json().error, 'Too Many Requests')
})

test('of more than 10,000 addresses that ask, the one that asked longest ago is forgotten', async (t) => {
  const { app } = await served(t, 1, { requestsPerMinute: 1 })
  const ask = async (remoteAddress: string) => (await app.inject({ url: '/audit/vkey', remoteAddress })).statusCode
  assert.equal(await ask('192.0.2.1'), 200)
  assert.equal(await ask('192.0.2.1'), 429)
  for (let n = 0; n < 10_000; n += 1) assert.equal(await ask(`10.0.${n >> 8}.${n & 255}`), 200)
  assert.equal(await ask('192.0.2.1'), 200)
})

test('a running server signs what comes in within a second, and anchors it', async (t) => {
  const server = await startAuditServer(t)
  const trail = await openTestTrail(t, { url: server.databaseUrl, nodeKeyFile: join(server.dataDir, 'node.key') })
  await insertAuditEvents(trail.sql, messages(10))
  const sizeOf = async (network: string) => {
    const answer = await server.app.inject(`/audit/${network}/checkpoint`)
    return answer.statusCode === 200 ? parseCheckpoint(answer.body).size : 0
  }
  for (const network of ['signaling', 'anchors'])
    await until(`${network} has records`, async () => (await sizeOf(network)) > 0)
  assert.equal(await sizeOf('signaling'), 10)
  const bundle = await server.app.inject({ url: '/audit/anchors/tile/entries/000.p/1', headers: { authorization } })
  const record = JSON.parse(decodeBundle(bundle.rawPayload)[0]!.toString())
  assert.deepEqual([record.type, record.of, record.size], ['checkpoint', 'signaling', 10])
})

test('the key is made once, for the owner alone, and kept', async (t) => {
  const { app, dataDir, databaseUrl } = await startAuditServer(t)
  const path = join(dataDir, 'node.key')
  const key = await readFile(path, 'utf8')
  assert.match(key, /^-----BEGIN PRIVATE KEY-----\n/)
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  const vkey = (await app.inject('/audit/vkey')).body
  const again = await startAuditServer(t, { dataDir, url: databaseUrl, origin: undefined })
  assert.equal(await readFile(path, 'utf8'), key)
  const [, name, id] = /^demos-relay\.local\/([0-9a-f]{16})\+([0-9a-f]{8})\+[A-Za-z0-9+/=]+\n$/.exec(
    (await again.app.inject('/audit/vkey')).body
  )!
  assert(name && id && vkey.startsWith('relay.example/logs+'))
})

test('a file that is no key, or no checkpoint, stops the start', async (t) => {
  const { app, dataDir, databaseUrl: url } = await startAuditServer(t)
  await app.close()
  await writeFile(join(dataDir, 'audit/signaling.checkpoint'), 'half a check')
  await assert.rejects(startAuditServer(t, { dataDir, url }), /signaling\.checkpoint is not a checkpoint/)
  await writeFile(join(dataDir, 'node.key'), 'no key')
  await assert.rejects(startAuditServer(t, { dataDir, url }), /does not hold an ed25519 private key/)
})
