import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { type Checked, LogFault, type Published, verifyLog } from '../../console/verify.js'
import { nodeIdentity, nodeVerifier, originOf } from '../../src/audit/node-key.ts'
import { checkpointText, signNote, verifierLine } from '../../src/tlog/note.ts'
import { append, rootOfEdge } from '../../src/tlog/tiles.ts'
import { EMPTY_ROOT, leafHash } from '../../src/tlog/tree.ts'

const NETWORK = 'team'
const node = nodeIdentity(generateKeyPairSync('ed25519').privateKey, 'relay.example/logs')
const leaf = (number: number) => leafHash(Buffer.from(`record ${number}`))

interface Log extends Published {
  /** Its tiles as they are published; tests change them. */
  readonly tiles: Map<string, Buffer>
}

/** A log as the server publishes it. */
async function logOf(size: number, leafAt = leaf): Promise<Log> {
  const grown = append(
    0,
    [],
    Array.from({ length: size }, (_, number) => leafAt(number))
  )
  const root = size === 0 ? EMPTY_ROOT : rootOfEdge(grown.edge)
  const text = checkpointText({ origin: originOf(node.name, NETWORK, 1), size, root })
  const note = await signNote(text, [originOf(node.name, NETWORK, 1), node.name], node.key)
  const tiles = new Map(grown.tiles.map(({ level, index, hashes }) => [`${level}/${index}`, Buffer.from(hashes)]))
  return {
    tiles,
    note: async () => note,
    key: async () => `${verifierLine(nodeVerifier(node))}\n`,
    tile: async (level, index, width) => tiles.get(`${level}/${index}`)!.subarray(0, width * 32)
  }
}

test('the page finds a log of any size right: full tiles, edges, and levels that are exactly full', async () => {
  for (const size of [0, 1, 2, 3, 255, 256, 257, 511, 512, 1_000, 65_536, 65_537]) {
    const { checked, recordsPerHash } = await verifyLog(NETWORK, await logOf(size))
    assert.equal(checked.size, size)
    assert.equal(recordsPerHash, 1)
  }
})

test('one changed bit in any tile is seen, and in a full one the place is named', async () => {
  const log = await logOf(3 * 256 + 7)
  for (const [name, tile] of log.tiles) {
    for (const at of [0, tile.length - 1]) {
      tile[at]! ^= 1
      await assert.rejects(verifyLog(NETWORK, log), LogFault, `${name}: byte ${at}`)
      tile[at]! ^= 1
    }
  }
  log.tiles.get('0/1')![40]! ^= 4
  await assert.rejects(verifyLog(NETWORK, log), /Tile 0\/1 .* records 256 to 511/)
})

test('a checkpoint of another key, another log, another size or without a signature is refused', async () => {
  const log = await logOf(10)
  const note = await log.note()
  const stranger = nodeIdentity(generateKeyPairSync('ed25519').privateKey, node.name)
  const wrong: [RegExp, Partial<Published>][] = [
    [/no signature/, { key: async () => verifierLine(nodeVerifier(stranger)) }],
    [/not one of Ed25519/, { key: async () => 'name+00000000+AAAA' }],
    [/signature is wrong/, { note: async () => note.replace('\n10\n', '\n11\n') }],
    [/not a signed note/, { note: async () => 'nothing' }]
  ]
  for (const [words, changes] of wrong) await assert.rejects(verifyLog(NETWORK, { ...log, ...changes }), words)
  await assert.rejects(verifyLog('other', log), /another log/)
  await assert.rejects(verifyLog(NETWORK, { ...log, tile: async () => Buffer.alloc(32) }), /wrong length/)
})

test('of a log too large to be read whole the upper levels are checked, down to its growing edge', async () => {
  const log = await logOf(10 * 256 + 3)
  const asked: string[] = []
  const tile: Published['tile'] = (level, index, width) => {
    asked.push(`${level}/${index}`)
    return log.tile(level, index, width)
  }
  const { recordsPerHash } = await verifyLog(NETWORK, { ...log, tile }, { maxTiles: 5 })
  assert.equal(recordsPerHash, 256)
  assert.deepEqual(asked.sort(), ['0/10', '1/0'])
  log.tiles.get('1/0')![9 * 32]! ^= 1
  await assert.rejects(verifyLog(NETWORK, log, { maxTiles: 5 }), /signed root/)
})

test('a log that was found right before must go on from there', async () => {
  const checkedAt = async (size: number): Promise<Checked> => (await verifyLog(NETWORK, await logOf(size))).checked
  for (const [old, size] of [
    [0, 5],
    [5, 5],
    [300, 1_000],
    [512, 1_000]
  ] as const) {
    const { continues } = await verifyLog(NETWORK, await logOf(size), { before: await checkedAt(old) })
    assert.equal(continues, true, `${old} to ${size}`)
  }
  const before = await checkedAt(300)
  await assert.rejects(verifyLog(NETWORK, await logOf(299), { before }), /lost records/)
  const rewritten = await logOf(400, (number) => leaf(number === 17 ? -1 : number))
  await assert.rejects(verifyLog(NETWORK, rewritten, { before }), /does not begin with/)
  const { continues } = await verifyLog(NETWORK, rewritten, { before: { ...before, origin: 'another log' } })
  assert.equal(continues, false)
})
