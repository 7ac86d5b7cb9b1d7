import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64 } from '../../src/util/encoding.ts'

const decodable: [name: string, text: string, bytes: number[]][] = [
  ['no bytes at all', '', []],
  ['two padding characters', 'QQ==', [65]],
  ['one padding character', 'QUI=', [65, 66]],
  ['no padding needed', 'QUJD', [65, 66, 67]],
  ['two padding characters missing', 'QQ', [65]],
  ['one padding character missing', 'QUI', [65, 66]],
  ['both special characters', '+/+/', [251, 255, 191]],
  ['spaces, tabs, form feeds and line breaks anywhere', ' Q\tU\r\nJ\fD ', [65, 66, 67]],
  ['white space before and inside the padding', 'QQ = =', [65]],
  ['bits after the last byte that are not zero', 'QR==', [65]]
]

for (const [name, text, bytes] of decodable) {
  test(`base64 with ${name} is decoded`, () => {
    assert.deepEqual([...decodeBase64(text)!], bytes)
  })
}

const undecodable: [name: string, text: string][] = [
  ['of length 4n+1', 'QUJDR'],
  ['of one character', 'Q'],
  ['in the URL-safe alphabet (-)', 'Q-JD'],
  ['in the URL-safe alphabet (_)', 'Q_JD'],
  ['with one padding character where two belong', 'QQ='],
  ['with padding where none belongs', 'QUJD='],
  ['with padding enough for a group of its own', 'QUJD===='],
  ['of padding only', '=='],
  ['with padding inside', 'QQ==QQ=='],
  ['with three padding characters', 'Q==='],
  ['with a character outside the alphabet', 'QU%D'],
  ['with a no-break space', 'QU\u00a0JD'],
  ['with a vertical tab', 'QU\vJD'],
  ['with a letter beyond ASCII', 'QUJÄ'],
  ['with a NUL character', 'QUJD\0'],
  ['that is garbage', '%%%not-base64%%%']
]

for (const [name, text] of undecodable) {
  test(`base64 ${name} is refused`, () => {
    assert.equal(decodeBase64(text), undefined)
  })
}

/** What a browser makes of the text; `atob` throws where we answer `undefined`. */
function byAtob(text: string): number[] | undefined {
  try {
    return [...atob(text)].map((character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

test('any text is decoded, or refused, as the browser decoder does it', () => {
  const characters = fc.constantFrom(...'ABcdz019+/==-_ \n\t\f\r\vé%\0')
  fc.assert(
    fc.property(fc.string({ unit: characters, maxLength: 24 }), (text) => {
      const bytes = decodeBase64(text)
      assert.deepEqual(bytes && [...bytes], byAtob(text))
    }),
    { numRuns: 5_000 }
  )
})

test('bytes come back from their base64 text, padded or not', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = Buffer.from(bytes).toString('base64')
      assert.deepEqual([...decodeBase64(text)!], [...bytes])
      assert.deepEqual([...decodeBase64(text.replaceAll('=', ''))!], [...bytes])
    })
  )
})

test('decoded bytes are a plain array, whose slices are copies', () => {
  const bytes = decodeBase64('QUJD')!
  assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
  bytes.slice().fill(0)
  assert.deepEqual([...bytes], [65, 66, 67])
})
