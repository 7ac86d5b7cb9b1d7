// Finds the text of a value in a JSON document, as its sender wrote it: numbers, white space, order and repeated keys of an
// opaque body must arrive unchanged, and JSON.parse keeps none of them.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d]
const [COMMA, COLON] = [0x2c, 0x3a]

/**
 * The text of the member at `path` of the object in `text`; of several with one name the last, as JSON.parse takes it.
 * Undefined when there is none. `text` should be valid JSON; of other text the answer may be anything, but it comes.
 */
export function sourceText(text: string, ...path: string[]): string | undefined {
  let from = skipSpace(text, 0)
  let to = text.length
  for (const name of path) {
    const member = lastMember(text, from, name)
    if (member === undefined) return undefined
    from = member.from
    to = member.to
  }
  return text.slice(from, to)
}

function lastMember(text: string, start: number, name: string): { from: number; to: number } | undefined {
  if (text.charCodeAt(start) !== OPEN_BRACE) return undefined
  let found: { from: number; to: number } | undefined
  let at = skipSpace(text, start + 1)
  while (at < text.length && text.charCodeAt(at) === QUOTE) {
    const keyEnd = skipString(text, at)
    const isWanted = isName(text.slice(at + 1, keyEnd - 1), name)
    at = skipSpace(text, keyEnd)
    if (text.charCodeAt(at) !== COLON) return undefined
    const from = skipSpace(text, at + 1)
    const to = skipValue(text, from)
    if (isWanted) found = { from, to }
    at = skipSpace(text, to)
    if (text.charCodeAt(at) !== COMMA) break
    at = skipSpace(text, at + 1)
  }
  return found
}

/** Is this the name, its characters perhaps escaped? */
function isName(key: string, name: string): boolean {
  if (!key.includes('\\')) return key === name
  try {
    return JSON.parse(`"${key}"`) === name
  } catch {
    return false
  }
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && text.charCodeAt(at) <= 0x20) at += 1
  return at
}

/** The place behind the text that begins with the quote at `from`. */
function skipString(text: string, from: number): number {
  let at = text.indexOf('"', from + 1)
  while (at !== -1) {
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return at + 1
    at = text.indexOf('"', at + 1)
  }
  return text.length
}

function skipValue(text: string, from: number): number {
  const first = text.charCodeAt(from)
  if (first === QUOTE) return skipString(text, from)
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return skipPlain(text, from)
  let depth = 0
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = skipString(text, at)
      continue
    }
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth -= 1
    at += 1
    if (depth === 0) break
  }
  return at
}

/** The place behind a number, true, false or null. */
function skipPlain(text: string, from: number): number {
  let at = from
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code <= 0x20 || code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET) break
    at += 1
  }
  return at
}
