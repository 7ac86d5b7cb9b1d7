// The client runs in browsers: nothing it imports, directly or not, may lean on Node.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { packageFile } from '../../src/util/package-root.ts'

const ENTRIES = ['index', 'outbox', 'proof'].map((name) => packageFile(`client/src/${name}.ts`))
const STATIC_IMPORT = /(?:^|[\n;])\s*(?:import|export)\s+(?!type\s)(?:[\w\s{},*$]+?\sfrom\s*)?['"]([^'"]+)['"]/g
const DYNAMIC_IMPORT = /(?<!typeof\s+)\bimport\s*\(\s*['"]([^'"]+)['"]/g
const NODE_GLOBAL = /\b(?:Buffer|process|require|__dirname|__filename|setImmediate|global)\b/

const withoutComments = (source: string) => source.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/[^\n]*/g, '')

/** Every module reachable from the entry, with its code. */
function modules(file: string, seen = new Map<string, string>()): Map<string, string> {
  if (seen.has(file)) return seen
  const code = withoutComments(readFileSync(file, 'utf8'))
  seen.set(file, code)
  for (const [, name = ''] of [...code.matchAll(STATIC_IMPORT), ...code.matchAll(DYNAMIC_IMPORT)]) {
    assert.match(name, /^(\.{1,2}\/|@noble\/)/, `${file} imports ${name}`)
    modules(resolve(file, name), seen)
  }
  return seen
}

function resolve(from: string, name: string): string {
  if (name.startsWith('.')) return fileURLToPath(new URL(name, `file://${from}`))
  return createRequire(from).resolve(name)
}

test('nothing the client imports needs Node', () => {
  const found = new Map<string, string>()
  for (const entry of ENTRIES) modules(entry, found)
  assert.ok([...found.keys()].some((file) => file.endsWith('/client/src/signaling-answers.ts')))
  assert.ok([...found.keys()].some((file) => file.endsWith('/ml-kem.js')))
  for (const [file, code] of found) {
    assert.doesNotMatch(code, /['"]node:/, file)
    if (file.includes('/client/src/')) assert.doesNotMatch(code, NODE_GLOBAL, file)
  }
})
