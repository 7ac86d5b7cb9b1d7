import assert from 'node:assert/strict'
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { test } from 'node:test'
import { openFromSubnet, openTextFromSubnet, sealForSubnet } from '../../client/src/sealed.ts'

const key = crypto.getRandomValues(new Uint8Array(32))

test('text and bytes of every length come back as they were', async () => {
  for (const text of ['', 'a', '\u{feff}with a byte order mark', 'ünïcödé \u{1F600}', 'x'.repeat(90_000)]) {
    assert.equal(await openTextFromSubnet(await sealForSubnet(text, key), key), text)
  }
  for (const length of [0, 1, 15, 16, 17, 90_000]) {
    const bytes = new Uint8Array(length).map((_, i) => i * 7)
    assert.deepEqual(await openFromSubnet(await sealForSubnet(bytes, key), key), bytes)
  }
})

test('the layout is that of the channel layer: nonce of 12 bytes, tag after the ciphertext', async () => {
  const { ciphertext, nonce } = await sealForSubnet('hello', key)
  const [whole, iv] = [Buffer.from(ciphertext, 'base64'), Buffer.from(nonce, 'base64')]
  assert.deepEqual([whole.length, iv.length], [5 + 16, 12])
  const decipher = createDecipheriv('aes-256-gcm', key, iv).setAuthTag(whole.subarray(-16))
  assert.equal(decipher.update(whole.subarray(0, -16), undefined, 'utf8') + decipher.final('utf8'), 'hello')

  const cipher = createCipheriv('aes-256-gcm', key, iv)
  const theirs = Buffer.concat([cipher.update('hello'), cipher.final(), cipher.getAuthTag()])
  assert.equal(theirs.toString('base64'), ciphertext)
})

test('no two bodies share a nonce', async () => {
  const bodies = await Promise.all(Array.from({ length: 100 }, () => sealForSubnet('the same', key)))
  assert.equal(new Set(bodies.map(({ nonce }) => nonce)).size, 100)
})

test('a body that was not sealed with this key is refused with a reason', async () => {
  const sealed = await sealForSubnet('hello', key)
  const [first = ''] = sealed.ciphertext
  const changed = (first === 'A' ? 'B' : 'A') + sealed.ciphertext.slice(1)
  const cases: [unknown, RegExp][] = [
    [null, /Not an encrypted/],
    ['text', /Not an encrypted/],
    [{ ciphertext: sealed.ciphertext }, /Not an encrypted/],
    [{ ...sealed, nonce: 7 }, /Not an encrypted/],
    [{ ...sealed, nonce: '*' }, /Not base64/],
    [{ ...sealed, nonce: 'AAAA' }, /12 bytes, not 3/],
    [{ ...sealed, nonce: 'AAAAAAAAAAAAAAAA' }, /changed on its way/],
    [{ ...sealed, ciphertext: 'AAAA' }, /too short/],
    [{ ...sealed, ciphertext: changed }, /changed on its way/]
  ]
  for (const [body, reason] of cases) await assert.rejects(openFromSubnet(body, key), reason)
  await assert.rejects(openFromSubnet(sealed, new Uint8Array(32)), /changed on its way/)
  await assert.rejects(openFromSubnet(sealed, key.slice(1)), /32 bytes, not 31/)
  await assert.rejects(sealForSubnet('x', new Uint8Array(16)), /32 bytes, not 16/)
  await assert.rejects(openTextFromSubnet(await sealForSubnet(Uint8Array.of(0xff), key), key), TypeError)
})
