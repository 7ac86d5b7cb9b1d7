// Bytes as peers write them: hex, and base64 exactly as a browser's atob accepts it.

const STANDARD_ALPHABET = /^[A-Za-z0-9+/]*={0,2}$/
const ASCII_WHITE_SPACE = /[\t\n\f\r ]+/g

/**
 * The bytes of a base64 text, or `undefined` if it is none; never throws.
 * Same answers as `atob`: padding may be missing and ASCII white space may stand anywhere, while the URL-safe alphabet,
 * wrong padding and a length of 4n+1 are refused. Source: docs/protocol.md, 2.1.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const written = Buffer.from(text, 'base64')
  if (written.toString('base64') === text) return bytesOf(written) // as nearly all are written: several times as fast
  if (STANDARD_ALPHABET.test(text)) return decodeCompact(text)
  const compact = text.replace(ASCII_WHITE_SPACE, '')
  return STANDARD_ALPHABET.test(compact) ? decodeCompact(compact) : undefined
}

/** Whether decodeBase64 would accept the text. Makes no bytes: for texts that are only passed on. */
export function isBase64(text: string): boolean {
  if (STANDARD_ALPHABET.test(text)) return isWhole(text)
  const compact = text.replace(ASCII_WHITE_SPACE, '')
  return STANDARD_ALPHABET.test(compact) && isWhole(compact)
}

/** Padding is all or nothing: with any `=` the length must be a multiple of four. */
function isWhole(text: string): boolean {
  const remainder = text.length % 4
  return remainder !== 1 && (remainder === 0 || !text.endsWith('='))
}

function decodeCompact(text: string): Uint8Array | undefined {
  return isWhole(text) ? bytesOf(Buffer.from(text, 'base64')) : undefined
}

/** A Buffer's slice() would be a window, not a copy. */
const bytesOf = ({ buffer, byteOffset, length }: Buffer) => new Uint8Array(buffer, byteOffset, length)

const HEX = /^[0-9a-fA-F]+$/

/** Bytes of a hex text, or undefined when it is none: digits must come in pairs. */
export function decodeHex(text: string): Uint8Array | undefined {
  return text.length % 2 === 0 && HEX.test(text) ? Buffer.from(text, 'hex') : undefined
}
