// docs/protocol.md against the code: sections that are cited, frames, codes, limits and examples.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { CLOSE } from '../../src/protocol/close-codes.ts'
import { L2PS_ERRORS, SIGNALING_ERRORS } from '../../src/protocol/errors.ts'
import { MAX_FRAME_BYTES, MAX_SOCKET_FRAME_BYTES } from '../../src/protocol/frame.ts'
import { PROTOCOLS, type ProtocolDoc } from '../../src/protocol/frames.ts'
import { MAX_CIPHERTEXT_LENGTH } from '../../src/protocol/l2ps.ts'
import { MAX_OPAQUE_VALUES } from '../../src/protocol/opaque.ts'
import { MAX_ENCRYPTION_KEY_BYTES, ML_KEM_768_KEY_BYTES } from '../../src/protocol/signaling.ts'
import { packageFile } from '../../src/util/package-root.ts'

const PAGE = readFileSync(packageFile('docs/protocol.md'), 'utf8')
const CODE = ['src', 'plugins', 'client', 'examples', 'bench', 'test']

/** The text below each numbered heading, up to the next one. */
const SECTIONS = new Map(
  PAGE.split(/^(?=#{2,3} <a id=)/m).flatMap((part) => {
    const heading = /^#{2,3} <a id="([\d.]+)"><\/a>\1 ./.exec(part)
    return heading === null ? [] : [[heading[1]!, part] as const]
  })
)

/** The first cell of each row of a section's tables. */
const firstCells = (section: string) =>
  [...SECTIONS.get(section)!.matchAll(/^\| ([^|]+?) \|/gm)].map(([, cell]) => cell!.replaceAll('`', ''))

function* citations(): Generator<{ file: string; words: string; section: string }> {
  for (const directory of CODE) {
    for (const file of readdirSync(packageFile(directory), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || file.includes('node_modules')) continue
      const text = readFileSync(packageFile(`${directory}/${file}`), 'utf8').replaceAll(/\n\s*(?:\*|\/\/) ?/g, ' ')
      const cited = text.matchAll(
        /(?:\(protocol|(?:docs\/)?protocol\.md|signaling protocol|L2PS messaging),? (?:section )?(\d+(?:\.\d+)?)/g
      )
      for (const [words, section] of cited) yield { file: `${directory}/${file}`, words, section: section! }
    }
  }
}

test('every section that code or a test cites is there, and is cited in one form', () => {
  const cited = [...citations()]
  assert.ok(cited.length > 20, 'citations are found')
  for (const { file, words, section } of cited) {
    assert.ok(SECTIONS.has(section), `${file} cites ${section}`)
    assert.equal(words, `docs/protocol.md, ${section}`, file)
  }
})

test('sections are numbered in order, each once', () => {
  const numbers = [...PAGE.matchAll(/^#{2,3} .*?<\/a>([\d.]+)/gm)].map(([, number]) => number!)
  assert.equal(numbers.length, PAGE.match(/^#{2,3} /gm)!.length, 'every heading has a number and an anchor')
  const chapters = numbers.filter((number) => !number.includes('.'))
  const inOrder = chapters.flatMap((chapter) => {
    const parts = numbers.filter((number) => number.startsWith(`${chapter}.`))
    return [chapter, ...parts.map((_, index) => `${chapter}.${index + 1}`)]
  })
  assert.deepEqual(numbers, inOrder)
  assert.deepEqual(
    chapters.map(Number),
    [...chapters.keys()].map((index) => index + 1)
  )
})

test('every frame of both protocols has its row, and each row names a section that speaks of it', () => {
  for (const { name, clientFrames, serverFrames } of PROTOCOLS) {
    const rows = SECTIONS.get(name === 'signaling' ? '2' : '4')!.matchAll(
      /^\| `(\w+)` \| (\w+) → \w+ \| \[([\d.]+)\]\(#\3\) \|$/gm
    )
    const listed = [...rows].map(([, type, from, section]) => {
      assert.match(SECTIONS.get(section!)!, new RegExp(`"type": "${type}"`), `${section} has an example of ${type}`)
      return `${from} ${type}`
    })
    const types = [
      ...clientFrames.map(({ frame }) => `client ${frame.type}`),
      ...serverFrames.map(({ type }) => `server ${type}`)
    ]
    assert.deepEqual(listed.sort(), types.sort())
  }
})

test('every error code and every close code has its row', () => {
  const codes = ['9.1', '9.2', '9.3'].map((section) => firstCells(section).filter((cell) => /^[\dA-Z]/.test(cell)))
  assert.deepEqual(codes[0], Object.keys(SIGNALING_ERRORS))
  assert.deepEqual(codes[1], Object.keys(L2PS_ERRORS))
  const ours = Object.values(CLOSE).map(({ code }) => String(code))
  const ofTheLibrary = ['1002, 1003, 1007', '1009']
  assert.deepEqual(codes[2]!.toSorted(), [...ours, ...ofTheLibrary].sort())
})

/** The schema of a whole frame; a client's frame may have members we do not know, a server's may not. */
function schemaOf({ clientFrames, serverFrames, hasRequestIds }: ProtocolDoc, from: string, type: string): TSchema {
  const found =
    from === 'client'
      ? clientFrames.find(({ frame }) => frame.type === type)?.frame
      : serverFrames.find((frame) => frame.type === type)
  assert.ok(found, `${from}s send ${type}`)
  const fields = hasRequestIds ? { timestamp: Type.Integer(), requestId: Type.Optional(Type.String()) } : {}
  const frame = { type: Type.Literal(type), payload: found.payload, ...fields }
  return Type.Object(frame, { additionalProperties: false })
}

test('every example of a frame is of the schema of that frame', () => {
  const examples = [...PAGE.matchAll(/^```json (signaling|l2ps) (client|server)\n(.*?)^```$/gms)]
  assert.equal(examples.length, PAGE.match(/^```json ./gm)!.length, 'every marked example is read')
  for (const [, name, from, text] of examples) {
    const frame = JSON.parse(text!)
    const protocol = PROTOCOLS.find((each) => each.name === name)!
    const fault = Value.Errors(schemaOf(protocol, from!, frame.type), frame).First()
    assert.equal(fault && `${fault.path}: ${fault.message}`, undefined, `${name} ${from} ${frame.type}`)
  }
})

test('the examples that carry proofs are vectors that a server accepts', () => {
  const accepted = ['signaling-registration', 'l2ps-proofs'].flatMap((name) => {
    const { vectors } = JSON.parse(readFileSync(packageFile(`test/vectors/${name}.json`), 'utf8'))
    const good = vectors.filter(({ recommended }: { recommended: string }) => recommended.startsWith('accept'))
    return good.map(({ frame }: { frame: object }) => JSON.stringify(frame))
  })
  for (const section of ['2.1', '4.2', '4.4']) {
    const [, text] = /^```json \w+ client\n(.*?)^```$/ms.exec(SECTIONS.get(section)!)!
    assert.ok(accepted.includes(JSON.stringify(JSON.parse(text!))), section)
  }
})

test('the limits it states are those of the code', () => {
  const limits = [MAX_FRAME_BYTES, MAX_SOCKET_FRAME_BYTES, MAX_CIPHERTEXT_LENGTH, MAX_OPAQUE_VALUES]
  for (const limit of [...limits, MAX_ENCRYPTION_KEY_BYTES, ML_KEM_768_KEY_BYTES]) {
    assert.ok(PAGE.includes(limit.toLocaleString('en')), String(limit))
  }
})
