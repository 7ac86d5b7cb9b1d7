// Base64 and hex for byte arrays of any size, in browsers and Node alike.

/** Bytes of their own buffer, in the words of every compiler: before 5.7 `Uint8Array` has no type of its buffer. */
export type Bytes = ReturnType<Uint8Array['slice']>

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const PAD = 61
const NOT_BASE64 = 255
const CODE_OF = Uint8Array.from(ALPHABET, (letter) => letter.charCodeAt(0))
const VALUE_OF = new Uint8Array(256).fill(NOT_BASE64)
for (const [value, code] of CODE_OF.entries()) VALUE_OF[code] = value
const HEX_OF = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

const ascii = new TextDecoder()

/** Standard base64 with padding (RFC 4648 §4). */
export function toBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4)
  let at = 0
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    codes[at++] = CODE_OF[group >> 18]!
    codes[at++] = CODE_OF[(group >> 12) & 63]!
    codes[at++] = i + 1 < bytes.length ? CODE_OF[(group >> 6) & 63]! : PAD
    codes[at++] = i + 2 < bytes.length ? CODE_OF[group & 63]! : PAD
  }
  return ascii.decode(codes)
}

/**
 * Reads standard base64 as browsers do: ASCII white space and missing padding are tolerated, the URL-safe alphabet is
 * not. Throws on anything else.
 */
export function fromBase64(text: string): Bytes {
  const compact = /[\t\n\f\r ]/.test(text) ? text.replace(/[\t\n\f\r ]+/g, '') : text
  const body = compact.length % 4 === 0 ? compact.replace(/={1,2}$/, '') : compact
  if (body.length % 4 === 1) throw new Error('Not base64: its length is impossible')
  const bytes = new Uint8Array(Math.floor((body.length * 3) / 4))
  let at = 0
  for (let i = 0; i < body.length; i += 4) {
    const group =
      (valueAt(body, i) << 18) | (valueAt(body, i + 1) << 12) | (valueAt(body, i + 2) << 6) | valueAt(body, i + 3)
    // Writes past the end of a typed array are ignored, so the last, shorter group needs no case of its own.
    bytes[at++] = group >> 16
    bytes[at++] = group >> 8
    bytes[at++] = group
  }
  return bytes
}

function valueAt(body: string, index: number): number {
  if (index >= body.length) return 0
  const value = VALUE_OF[body.charCodeAt(index)] ?? NOT_BASE64
  if (value === NOT_BASE64) throw new Error(`Not base64: unexpected character at ${index}`)
  return value
}

/** Lower-case hex, two digits a byte. */
export function toHex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX_OF[byte]
  return text
}

/** Reads hex of either case. Throws on an odd length or any other character. */
export function fromHex(text: string): Bytes {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw new Error('Not hex')
  const bytes = new Uint8Array(text.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16)
  return bytes
}
