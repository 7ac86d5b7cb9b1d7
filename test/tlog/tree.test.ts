import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  append,
  type Edge,
  hashOf,
  parseTilePath,
  rootOfEdge,
  tilePath,
  tilesOf,
  tileWidth
} from '../../src/tlog/tiles.ts'
import { EMPTY_ROOT, inclusionRanges, leafHash, nodeHash, rootOf } from '../../src/tlog/tree.ts'
import { consistencyRanges, ProofMismatch, verifyConsistency, verifyInclusion } from './proofs.ts'

// The reference tree of Certificate Transparency (certificate-transparency, merkletree tests): eight leaves, in hex.
const LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const ROOTS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'
]
const INCLUSION: [index: number, size: number, path: string[]][] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4'
    ]
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'
    ]
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b'
    ]
  ]
]
const CONSISTENCY: [old: number, size: number, path: string[]][] = [
  [1, 1, []],
  [
    1,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4'
    ]
  ],
  [
    6,
    8,
    [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'
    ]
  ],
  [
    2,
    5,
    [
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b'
    ]
  ]
]

const hex = (hash: Uint8Array) => Buffer.from(hash).toString('hex')
const bytes = (text: string) => Buffer.from(text, 'hex')
const reference = LEAVES.map((leaf) => leafHash(bytes(leaf)))

/** MTH, word for word from RFC 6962 §2.1. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return EMPTY_ROOT
  if (leaves.length === 1) return leaves[0]!
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return nodeHash(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)))
}

/** PATH, word for word from RFC 6962 §2.1.1. */
function naivePath(m: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return []
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  if (m < k) return [...naivePath(m, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
  return [...naivePath(m - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))]
}

/** SUBPROOF, word for word from RFC 6962 §2.1.2. */
function naiveSubproof(m: number, leaves: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (m === leaves.length) return whole ? [] : [naiveRoot(leaves)]
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  if (m <= k) return [...naiveSubproof(m, leaves.slice(0, k), whole), naiveRoot(leaves.slice(k))]
  return [...naiveSubproof(m - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))]
}

/** A tree grown in steps of these sizes, with every tile kept. */
function grow(leaves: readonly Uint8Array[], steps: readonly number[]) {
  const stored = new Map<string, Uint8Array>()
  let tree: { edge: Edge; size: number } = { edge: [], size: 0 }
  for (const step of [...steps, leaves.length]) {
    const grown = append(tree.size, tree.edge, leaves.slice(tree.size, tree.size + step))
    for (const { level, index, hashes } of grown.tiles) stored.set(`${level}/${index}`, hashes)
    tree = grown
  }
  return {
    ...tree,
    stored,
    tileAt: (ref: { level: number; index: number }) => stored.get(`${ref.level}/${ref.index}`)!
  }
}

const leavesOf = (count: number) => Array.from({ length: count }, (_, index) => leafHash(Buffer.from(String(index))))

test('the published roots and proofs of the reference tree are ours', () => {
  for (const [size, root] of ROOTS.entries()) assert.equal(hex(rootOf(reference.slice(0, size))), root)
  for (const [index, size, path] of INCLUSION) {
    const { tileAt } = grow(reference.slice(0, size), [])
    assert.deepEqual(
      inclusionRanges(index, size).map((range) => hex(hashOf(range, tileAt))),
      path
    )
    verifyInclusion(reference[index]!, index, size, path.map(bytes), bytes(ROOTS[size]!))
  }
  for (const [old, size, path] of CONSISTENCY) {
    const { tileAt } = grow(reference.slice(0, size), [])
    assert.deepEqual(
      consistencyRanges(old, size).map((range) => hex(hashOf(range, tileAt))),
      path
    )
    verifyConsistency(old, bytes(ROOTS[old]!), size, bytes(ROOTS[size]!), path.map(bytes))
  }
})

test('however a tree grows, its root is that of the recursive definition', () => {
  const growth = fc.record({
    size: fc.integer({ min: 0, max: 1_500 }),
    steps: fc.array(fc.integer({ min: 1, max: 600 }))
  })
  fc.assert(
    fc.property(growth, ({ size, steps }) => {
      const leaves = leavesOf(size)
      const tree = grow(leaves, steps)
      assert.equal(tree.size, size)
      assert.equal(hex(rootOfEdge(tree.edge)), hex(naiveRoot(leaves)))
      for (const [key, hashes] of tree.stored) {
        const [level = 0, index = 0] = key.split('/').map(Number)
        assert.equal(hashes.length / 32, tileWidth({ level, index }, size))
      }
    }),
    { numRuns: 60 }
  )
})

test('a tree of three levels of tiles has the root of the definition', () => {
  const leaves = leavesOf(66_100)
  const tree = grow(leaves, [65_535, 1, 300])
  assert.equal(hex(rootOfEdge(tree.edge)), hex(naiveRoot(leaves)))
  for (const index of [0, 255, 65_535, 65_536, 66_099]) {
    const proof = inclusionRanges(index, 66_100).map((range) => hashOf(range, tree.tileAt))
    assert.deepEqual(proof.map(hex), naivePath(index, leaves).map(hex))
  }
})

test('proofs from tiles equal the definition, verify, and fail when anything is changed', () => {
  const cases = fc.integer({ min: 1, max: 1_200 }).chain((size) =>
    fc.record({
      size: fc.constant(size),
      index: fc.integer({ min: 0, max: size - 1 }),
      old: fc.integer({ min: 1, max: size })
    })
  )
  fc.assert(
    fc.property(cases, ({ size, index, old }) => {
      const leaves = leavesOf(size)
      const tree = grow(leaves, [old])
      const root = rootOfEdge(tree.edge)
      const proveBy = (ranges: { start: number; end: number }[]) => {
        const allowed = new Map(tilesOf(ranges).map((ref) => [`${ref.level}/${ref.index}`, ref.width]))
        return ranges.map((range) =>
          hashOf(range, (ref) => tree.tileAt(ref).subarray(0, allowed.get(`${ref.level}/${ref.index}`)! * 32))
        )
      }
      const inclusion = proveBy(inclusionRanges(index, size))
      assert.deepEqual(inclusion.map(hex), naivePath(index, leaves).map(hex))
      verifyInclusion(leaves[index]!, index, size, inclusion, root)
      const consistency = proveBy(consistencyRanges(old, size))
      assert.deepEqual(consistency.map(hex), naiveSubproof(old, leaves, true).map(hex))
      const oldRoot = naiveRoot(leaves.slice(0, old))
      verifyConsistency(old, oldRoot, size, root, consistency)

      const wrong = leafHash(Buffer.from('wrong'))
      assert.throws(() => verifyInclusion(wrong, index, size, inclusion, root), ProofMismatch)
      assert.throws(() => verifyInclusion(leaves[index]!, index, size, [...inclusion, wrong], root), ProofMismatch)
      assert.throws(() => verifyConsistency(old, wrong, size, root, consistency), ProofMismatch)
      for (const [place] of inclusion.entries()) {
        assert.throws(
          () => verifyInclusion(leaves[index]!, index, size, inclusion.with(place, wrong), root),
          ProofMismatch
        )
      }
      for (const [place] of consistency.entries()) {
        assert.throws(() => verifyConsistency(old, oldRoot, size, root, consistency.with(place, wrong)), ProofMismatch)
      }
    }),
    { numRuns: 80 }
  )
})

test('tiles are named as C2SP tlog-tiles names them, and in no other way', () => {
  assert.deepEqual([0, 5, 999, 1_000, 1_234_067].map(tilePath), ['000', '005', '999', 'x001/000', 'x001/x234/067'])
  assert.deepEqual(parseTilePath('0/x001/x234/067'), {
    kind: 'hashes',
    ref: { level: 0, index: 1_234_067 },
    width: 256
  })
  assert.deepEqual(parseTilePath('63/000.p/1'), { kind: 'hashes', ref: { level: 63, index: 0 }, width: 1 })
  assert.deepEqual(parseTilePath('entries/012.p/255'), { kind: 'entries', ref: { level: 0, index: 12 }, width: 255 })
  const wrong =
    '64/000 00/000 01/000 0/0 0/0000 0/x000/001 0/1/000 0/x001/x000 0/000.p/0 0/000.p/256 0/000.p/01 0/000.p/ -1/000 entries/ entries 0/000/ data/000 0/000.P/1'
  for (const path of wrong.split(' ')) assert.equal(parseTilePath(path), undefined, path)
})
