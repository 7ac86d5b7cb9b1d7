/** Longest payload whose length fits the first length field, and the second (RFC 6455 §5.2). */
const SHORT = 125
const LONG = 65_535

/**
 * Texts as the frames a server sends them in, one behind the other (RFC 6455 §5.2: whole, unmasked). For what is the same
 * for many sockets: the WebSocket layer would frame it again for each of them.
 */
export function encodeTextFrames(texts: readonly string[]): Buffer {
  return Buffer.concat(texts.flatMap((text) => encodeTextFrame([Buffer.from(text)])))
}

/** One text frame of several pieces of UTF-8, as above; they are not copied. */
export const encodeTextFrame = (pieces: readonly Buffer[]): readonly Buffer[] => [
  header(pieces.reduce((sum, { length }) => sum + length, 0)),
  ...pieces
]

function header(length: number): Buffer {
  if (length <= SHORT) return Buffer.from([FINAL_TEXT, length])
  const wide = length > LONG
  const bytes = Buffer.alloc(wide ? 10 : 4)
  bytes[0] = FINAL_TEXT
  bytes[1] = wide ? 127 : 126
  if (wide) bytes.writeBigUInt64BE(BigInt(length), 2)
  else bytes.writeUInt16BE(length, 2)
  return bytes
}

/** FIN, opcode text. */
const FINAL_TEXT = 0x81
