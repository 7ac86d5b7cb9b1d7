// What the client, the examples and the server may import of each other.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { packageFile } from '../../src/util/package-root.ts'

const IMPORT = /\b(?:from|import)\s*\(?\s*'([^']+)'/g
const ENTRY = 'client/src/index.ts'

/** Every import below a directory. `target`: a path from the root of the repository, or the name of a package. */
function importsOf(directory: string): { file: string; target: string; isPackage: boolean }[] {
  const files = readdirSync(packageFile(directory), { recursive: true, encoding: 'utf8' })
  return files
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const file = join(directory, name)
      const code = readFileSync(packageFile(file), 'utf8').replace(/^\s*(?:\/\/|\/?\*).*$/gm, '')
      return [...code.matchAll(IMPORT)].map(([, specifier = '']) => {
        const isPackage = !specifier.startsWith('.')
        return { file, target: isPackage ? packageOf(specifier) : join(dirname(file), specifier), isPackage }
      })
    })
}

/** `@noble/post-quantum` of `@noble/post-quantum/ml-kem.js`. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')

test('the client imports its own files and its own dependencies, and nothing else', () => {
  const { dependencies } = JSON.parse(readFileSync(packageFile('client/package.json'), 'utf8'))
  const imports = importsOf('client/src')
  for (const { file, target, isPackage } of imports) {
    assert.ok(isPackage ? target in dependencies : target.startsWith('client/src/'), `${file} imports ${target}`)
  }
  const imported = new Set(imports.filter(({ isPackage }) => isPackage).map(({ target }) => target))
  assert.deepEqual([...imported].sort(), Object.keys(dependencies).sort())
})

test('an example imports the entry of the client, other examples and public packages', () => {
  const imports = importsOf('examples')
  assert.ok(imports.some(({ target }) => target === ENTRY))
  for (const { file, target, isPackage } of imports) {
    const isAllowed = isPackage
      ? target.startsWith('node:') || target === 'ws'
      : target === ENTRY || target.startsWith('examples/')
    assert.ok(isAllowed, `${file} imports ${target}`)
  }
})

test('of the server, only the chat command and the conformance suite, clients both, import the client', () => {
  for (const { file, target } of [...importsOf('src'), ...importsOf('plugins')]) {
    const isClient = file === 'src/cli/chat.ts' || file.startsWith('src/conformance/')
    assert.ok(isClient || !/^(?:client|examples)\//.test(target), `${file} imports ${target}`)
  }
})
