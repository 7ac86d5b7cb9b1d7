import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { packageFile } from '../src/util/package-root.ts'

/** The rooms from top to bottom. A file imports from its own room and from lower levels, never beside or up. */
const LEVELS: readonly (readonly string[])[] = [
  ['src/main.ts'],
  ['src/cli'],
  ['src/server.ts'],
  ['plugins'],
  ['src/docs'],
  ['src/backup', 'src/conformance'],
  ['src/signaling', 'src/l2ps'],
  ['src/cluster'],
  ['src/delivery'],
  ['src/presence'],
  ['src/session'],
  ['src/limits'],
  ['src/identity', 'src/networks', 'src/audit'],
  ['src/anchor'],
  ['src/store'],
  ['src/database', 'src/observability'],
  ['src/crypto', 'src/http'],
  ['src/protocol', 'src/config', 'src/tlog'],
  ['src/util'],
  ['examples', 'playground'],
  ['client']
]

/** Rooms that may import less than the levels allow: only these, and themselves. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  'src/store': ['src/database', 'src/protocol', 'src/util'],
  'src/database': ['src/util'],
  'src/tlog': ['src/util'],
  'src/conformance': ['src/protocol', 'src/util', 'client']
}

interface Import {
  readonly from: string
  /** A file of ours, or the name of a package. */
  readonly to: string
  readonly isOurs: boolean
}

const imports = ['src', 'plugins', 'client', 'examples', 'playground'].flatMap(importsBelow)
const ours = imports.filter(({ isOurs }) => isOurs)

function importsBelow(directory: string): Import[] {
  const names = readdirSync(packageFile(directory), { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => join(directory, name))
    .flatMap((from) => {
      const specifiers = readFileSync(packageFile(from), 'utf8').matchAll(/\b(?:from|import)\s*\(?\s*'([^']+)'/g)
      return Array.from(specifiers, ([, specifier]) => {
        const isOurs = specifier!.startsWith('.')
        return { from, to: isOurs ? normalize(join(dirname(from), specifier!)) : specifier!, isOurs }
      })
    })
}

const nameOf = ({ from, to }: Import) => `${from} > ${to}`
const roomOf = (file: string) => LEVELS.flat().find((room) => file === room || file.startsWith(`${room}/`)) ?? file
const levelOf = (file: string) => LEVELS.findIndex((level) => level.includes(roomOf(file)))

const breaksLevels = ({ from, to }: Import) => roomOf(from) !== roomOf(to) && levelOf(from) >= levelOf(to)
const breaksOnly = ({ from, to }: Import) => {
  const allowed = ONLY[roomOf(from)]
  return allowed !== undefined && roomOf(from) !== roomOf(to) && !allowed.includes(roomOf(to))
}

/** Follows imports from a file; the path that leads back to it, if there is one. */
function circleThrough(start: string, next: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const seen = new Set<string>()
  const search = (file: string, path: readonly string[]): string[] | undefined => {
    for (const to of next.get(file) ?? []) {
      if (to === start) return [...path, to]
      if (seen.has(to)) continue
      seen.add(to)
      const found = search(to, [...path, to])
      if (found !== undefined) return found
    }
    return undefined
  }
  return search(start, [start])
}

test('every file is in a room', () => {
  const homeless = new Set(ours.flatMap(({ from, to }) => [from, to]).filter((file) => levelOf(file) === -1))
  assert.deepEqual([...homeless], [])
})

test('imports point down the list of rooms', () => {
  assert.deepEqual(ours.filter(breaksLevels).map(nameOf), [])
})

test('store, database and tlog stand on what is named for them', () => {
  assert.deepEqual(ours.filter(breaksOnly).map(nameOf), [])
})

test('no files import each other in a circle', () => {
  const next = new Map<string, string[]>()
  for (const each of ours) {
    next.set(each.from, [...(next.get(each.from) ?? []), each.to])
  }
  const circles = [...next.keys()].map((file) => circleThrough(file, next)).filter((circle) => circle !== undefined)
  assert.deepEqual(circles, [])
})

test('only plugins and server.ts know Fastify', () => {
  const fastify = imports.filter(({ from, to }) => /^@?fastify\b/.test(to) && !from.startsWith('plugins/'))
  assert.deepEqual([...new Set(fastify.map(({ from }) => from))], ['src/server.ts'])
})

test('no Map is a list of what was used last (decision 47)', () => {
  const files = [...new Set(imports.map(({ from }) => from))].filter((file) => /^(src|plugins)\//.test(file))
  const lists = files.filter((file) => readFileSync(packageFile(file), 'utf8').includes('.keys().next()'))
  assert.deepEqual(lists, [])
})

test('the log format is pure: of Node it uses crypto only', () => {
  const used = imports.filter(({ from, isOurs }) => roomOf(from) === 'src/tlog' && !isOurs).map(({ to }) => to)
  assert.deepEqual([...new Set(used)].sort(), ['node:crypto', 'node:util'])
})
