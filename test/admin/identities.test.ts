import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { test } from 'node:test'
import { quickIdentity } from '../helpers/peer.ts'
import { type AdministeredServer, held, message, startAdministered, store, TOKEN } from './helpers.ts'

const keyId = (key: Uint8Array) => createHash('sha256').update(key).digest('hex').slice(0, 32)

test('an identity is shown with the key that owns the name and every encryption key it registered', async (t) => {
  const server = await startAdministered(t)
  const owner = await quickIdentity()
  await (await server.join('bob', owner)).close()
  const rekeyed = { ...owner, publicKey: crypto.getRandomValues(new Uint8Array(36)) }
  await server.join('bob', rekeyed)
  const shown = await server.ok('GET', '/identities/signaling/bob')
  const { registeredAt, lastSeenAt, keys, ...rest } = shown
  assert.deepEqual(rest, {
    ...{ network: 'signaling', peer: 'bob', algorithm: 'ed25519', keyId: keyId(rekeyed.publicKey), challenged: false },
    signingKey: Buffer.from(owner.signingPublicKey).toString('base64')
  })
  assert.deepEqual(
    keys.map((key: { keyId: string }) => key.keyId),
    [keyId(owner.publicKey), keyId(rekeyed.publicKey)]
  )
  assert.ok(Date.parse(registeredAt) <= Date.parse(lastSeenAt))
  assert.equal(keys[0].registeredAt, registeredAt)
})

test('a key that registered in an L2PS network is shown, without an encryption key', async (t) => {
  const server = await startAdministered(t)
  await server.addNetworks('net')
  const { key } = await server.enter('net')
  const shown = await server.ok('GET', `/identities/net/${key.toUpperCase()}`)
  assert.deepEqual([shown.peer, shown.keyId, shown.keys], [key, null, []])
  assert.equal(Buffer.from(shown.signingKey, 'base64').toString('hex'), key)
  await server.refused('not-found', 'GET', `/identities/other/${key}`)
})

test('a released name is free for another key, which gets nothing that was meant for the owner before', async (t) => {
  const server = await startAdministered(t)
  const owner = await quickIdentity()
  const bob = await server.join('bob', owner)
  const alice = await server.join('alice')
  alice.send({ type: 'request_public_key', payload: { targetId: 'bob' }, timestamp: 1 })
  await alice.next('public_key_response')
  const mallory = await server.peer()
  await assert.rejects(mallory.register('bob'), /CLIENT_ID_TAKEN/)

  assert.deepEqual(await server.ok('DELETE', '/identities/signaling/bob'), {
    released: true,
    purged: { entries: 0, bytes: 0 }
  })
  assert.equal((await bob.closed).code, 4004)
  await server.refused('not-found', 'GET', '/identities/signaling/bob')
  await server.refused('not-found', 'DELETE', '/identities/signaling/bob')
  assert.deepEqual(await server.records(), [{ network: 'signaling', kind: 'identity-release', sender: 'bob' }])

  const claimant = await server.join('bob')
  await claimant.nothingMore()
  await assert.rejects(server.join('bob', owner), /CLIENT_ID_TAKEN/)
})

test('a name is not released while messages wait for its owner, unless they are purged with it', async (t) => {
  const server = await startAdministered(t)
  await (await server.join('bob')).close()
  const alice = await server.join('alice')
  await store(alice, ['bob', 'for the owner'], ['bob', 'for the owner, too'])
  await server.refused('messages-waiting', 'DELETE', '/identities/signaling/bob')
  await server.refused('messages-waiting', 'DELETE', '/identities/signaling/bob?force=false')
  await assert.rejects(server.join('bob'), /CLIENT_ID_TAKEN/)
  assert.deepEqual(await server.records(), [])

  const released = await server.ok('DELETE', '/identities/signaling/bob?force=true')
  assert.deepEqual([released.released, released.purged.entries], [true, 2])
  assert.deepEqual(
    (await server.records()).map(({ kind, entries }) => ({ kind, entries })),
    [
      { kind: 'purge', entries: 2 },
      { kind: 'identity-release', entries: undefined }
    ]
  )
  assert.deepEqual(await held(server), { entries: 0, sender: 0, recipient: 0 })
  const claimant = await server.join('bob')
  await claimant.nothingMore()
  alice.send(message('bob', 'for the new owner'))
  assert.equal((await claimant.next('message')).payload.message, 'for the new owner')
})

test('releases that race with messages and with claims: no claimant gets what was sent before it', async (t) => {
  const server = await startAdministered(t, { SIGNALING_QUOTA_PER_SENDER: 1_000 })
  const alice = await server.join('alice')
  for (let round = 0; round < 8; round++) {
    await (await server.join('bob')).close()
    const sent = Array.from({ length: 10 }, (_, n) => `old ${round} ${n}`)
    for (const text of sent) alice.send(message('bob', text))
    const release = server.ask('DELETE', '/identities/signaling/bob?force=true')
    for (const text of sent) alice.send(message('bob', `${text}, too`))
    const { status } = await release
    assert.ok(status === 200 || status === 409, String(status))
    if (status === 409) await server.ok('DELETE', '/identities/signaling/bob?force=true')
    await server.app.mailboxes.drained()
    const claimant = await server.join('bob')
    await claimant.nothingMore()
    await claimant.close()
    await server.ok('DELETE', '/queues/signaling/bob')
    await server.ok('DELETE', '/identities/signaling/bob')
    while (alice.inbox.length > 0) await alice.next()
  }
})

/** As it is: fetch puts `..` right before it is sent. */
function status(server: AdministeredServer, method: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${TOKEN}` }
    request(`${server.addresses.http}`, { method, path: `/admin${path}`, headers }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

test('names of every kind are found by their percent-encoded path, up to the longest', async (t) => {
  const server = await startAdministered(t)
  const alice = await server.join('alice')
  const names = [
    'a/b',
    '%2F',
    '..',
    '.',
    '__proto__',
    'constructor',
    'é ü',
    '😀'.repeat(128),
    'x'.repeat(256),
    '?#&=+;:@',
    '\\'
  ]
  for (const name of names) {
    const peer = await server.join(name)
    const encoded = encodeURIComponent(name).replaceAll('.', '%2e')
    for (const kind of ['identities', 'peers', 'queues']) {
      assert.equal(await status(server, 'GET', `/${kind}/signaling/${encoded}`), 200, `${kind} ${name}`)
    }
    assert.equal(await status(server, 'DELETE', `/peers/signaling/${encoded}`), 200, name)
    assert.equal((await peer.closed).code, 4004)
    await store(alice, [name, 'waits'])
    assert.equal(await status(server, 'DELETE', `/identities/signaling/${encoded}`), 409, name)
    assert.equal(await status(server, 'DELETE', `/queues/signaling/${encoded}`), 200, name)
    assert.equal(await status(server, 'DELETE', `/identities/signaling/${encoded}`), 200, name)
  }
  assert.deepEqual(await held(server), { entries: 0, sender: 0, recipient: 0 })
})
