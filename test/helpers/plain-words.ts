// What a text for people must not have, whoever reads it: a peer, an administrator or an operator.
import assert from 'node:assert/strict'

const FORBIDDEN: Readonly<Record<string, RegExp>> = {
  'a stack': /\n\s+at |node:internal|\.[cm]?[tj]s:\d/,
  'a regular expression': /\(\?[:!=]|\[\^?\w-\w|\\[dwsu]|\\\\|\^\[|\]\+\$|\{\d+,\d*\}/,
  'words of the schema library': /\bExpected (string|integer|number|array|object|boolean|union|required)|must match/,
  'words that say nothing': /of another form|something else|[Oo]ur fault/,
  'a value that was lost': /\bundefined\b|\bNaN\b|\[object /,
  'a class of ours':
    /\b(?!(?:PostgreSQL|WebSockets?|GitHub|PgBouncer|HAProxy|OpenAPI|AsyncAPI)\b)[A-Z][a-z]+(?:[A-Z][a-z]+)+\b/,
  'a table of ours': /\b(queue_entry|audit_(entry|inbox|log|node)|identity_key|session_place|l2ps_(network|member))\b/
}

/** Fails unless the text is words that somebody can act on: not empty, and nothing of the inside of the program. */
export function assertPlain(text: unknown, where: string): void {
  assert.ok(typeof text === 'string' && text.trim().length >= 10, `${where}: no words: ${JSON.stringify(text)}`)
  for (const [what, pattern] of Object.entries(FORBIDDEN)) {
    assert.ok(!pattern.test(text), `${where}: ${what}: ${text.slice(0, 400)}`)
  }
}
