// Checks a transparency log as any stranger could: signed-note, tlog-checkpoint and tlog-tiles of C2SP, by WebCrypto.

const WIDTH = 256
const HASH_BYTES = 32
/** Most tiles one check reads: 2 MB, the hashes of 65,000 records, and some seconds of hashing. */
const MAX_TILES = 260
/** Tiles asked for at once. */
const ASKED_AT_ONCE = 6
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u

/**
 * What is published of a log. `note` and `key` are texts; `tile` gives the first `width` hashes.
 * @typedef {{ note: () => Promise<string>, key: () => Promise<string>,
 *   tile: (level: number, index: number, width: number) => Promise<Uint8Array> }} Published
 */
/**
 * A checkpoint that was found right; `root` in base64.
 * @typedef {{ origin: string, signer: string, size: number, root: string }} Checked
 */
/** @typedef {{ level: number, index: number, width: number }} Tile */

/** The browser lacks what it takes. */
class CannotCheck extends Error {}

/** What is published does not fit together. */
export class LogFault extends Error {}

/**
 * Checks the signature of a log's checkpoint, and that its tiles give the signed root: all of them, or of a large log those
 * from some level up, which stand for all below. With `before`, also that the log begins with what was checked then.
 * Throws `LogFault` for what is wrong, `CannotCheck`, and whatever `published` throws.
 * @param {string} network
 * @param {Published} published
 * @param {{ before?: Checked | undefined, maxTiles?: number, progress?: (done: number, all: number) => void }} [options]
 */
export async function verifyLog(network, published, { before, maxTiles = MAX_TILES, progress = () => {} } = {}) {
  if (crypto.subtle === undefined)
    throw new CannotCheck('A browser can check this only over https, or on this machine.')
  const [note, keyLine] = await Promise.all([published.note(), published.key()])
  const key = await readKey(keyLine)
  const checkpoint = readCheckpoint(await openNote(note, key), network, key.name)
  const { size, root, origin } = checkpoint
  const checked = { origin, signer: key.id, size, root }
  const base = lowestLevel(size, maxTiles)
  const tiles = [...wholeLevels(size, base), ...edgeOf(size).filter(({ level }) => level < base)]
  const tree = await readTiles(tiles, published, progress)
  holdTogether(tiles, tree)
  if (base64(await rootOfEdge(edgeIn(tree, size))) !== root) {
    throw new LogFault('The published hashes do not give the signed root: a hash or the checkpoint has changed.')
  }
  const continues = before !== undefined && base === 0 && (await goesOn(before, checked, tree))
  return { checked, signerName: key.name, tiles: tiles.length, recordsPerHash: WIDTH ** base, continues }
}

/**
 * A verifier key line: name, key id, and the key behind its algorithm.
 * @param {string} line
 */
async function readKey(line) {
  const [, name = '', id = '', text = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)\n?$/u.exec(line) ?? []
  const bytes = fromBase64(text)
  const expected = hex((await sha256(join(utf8(`${name}\n`), bytes))).subarray(0, 4))
  if (bytes.length !== 1 + HASH_BYTES || bytes[0] !== 1 || expected !== id) {
    throw new LogFault('The verifier key is not one of Ed25519.')
  }
  return { name, id, bytes: bytes.subarray(1) }
}

/**
 * The text of a note this key has signed.
 * @param {string} note
 * @param {{ name: string, id: string, bytes: Uint8Array<ArrayBuffer> }} key
 */
async function openNote(note, key) {
  const end = note.lastIndexOf('\n\n')
  if (end === -1) throw new LogFault('The checkpoint is not a signed note.')
  const text = note.slice(0, end + 1)
  for (const line of note.slice(end + 2).split('\n')) {
    const [, name, signature = ''] = SIGNATURE_LINE.exec(line) ?? []
    const bytes = fromBase64(signature)
    if (name !== key.name || hex(bytes.subarray(0, 4)) !== key.id) continue
    if (await isSigned(utf8(text), bytes.subarray(4), key.bytes)) return text
    throw new LogFault(`The signature is wrong: key ${key.id} did not sign this checkpoint.`)
  }
  throw new LogFault(`The checkpoint bears no signature of ${key.name}.`)
}

/**
 * @param {Uint8Array<ArrayBuffer>} text
 * @param {Uint8Array<ArrayBuffer>} signature
 * @param {Uint8Array<ArrayBuffer>} key
 */
async function isSigned(text, signature, key) {
  /** @type {CryptoKey} */
  let imported
  try {
    imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify'])
  } catch {
    throw new CannotCheck('This browser cannot check Ed25519 signatures.')
  }
  return crypto.subtle.verify('Ed25519', imported, signature, text)
}

/**
 * @param {string} text
 * @param {string} network
 * @param {string} signer
 */
function readCheckpoint(text, network, signer) {
  const [origin = '', digits = '', root = ''] = text.split('\n', 3)
  const name = `${signer}/${encodeURIComponent(network)}`
  if (origin.replace(/@\d+$/, '') !== name) throw new LogFault(`The checkpoint is of another log: ${origin}.`)
  if (!/^(0|[1-9]\d{0,15})$/.test(digits) || fromBase64(root).length !== HASH_BYTES) {
    throw new LogFault('The checkpoint says neither a size nor a root.')
  }
  return { origin, size: Number(digits), root }
}

/** @param {number} size @param {number} level */
const hashesOn = (size, level) => Math.floor(size / WIDTH ** level)

/**
 * The lowest level from which on all tiles are few enough.
 * @param {number} size
 * @param {number} maxTiles
 */
function lowestLevel(size, maxTiles) {
  for (let base = 0; ; base++) {
    if (wholeLevels(size, base, maxTiles + 1).length <= maxTiles) return base
  }
}

/**
 * Every tile of these levels, at most so many.
 * @param {number} size
 * @param {number} base
 * @param {number} [most]
 */
function wholeLevels(size, base, most = Number.POSITIVE_INFINITY) {
  /** @type {Tile[]} */
  const tiles = []
  for (let level = base; hashesOn(size, level) > 0; level++) {
    const hashes = hashesOn(size, level)
    for (let index = 0; index * WIDTH < hashes && tiles.length < most; index++) {
      tiles.push({ level, index, width: Math.min(WIDTH, hashes - index * WIDTH) })
    }
  }
  return tiles
}

/**
 * The last tile of each level, where it is not full.
 * @param {number} size
 */
function edgeOf(size) {
  /** @type {Tile[]} */
  const edge = []
  for (let level = 0; hashesOn(size, level) > 0; level++) {
    const width = hashesOn(size, level) % WIDTH
    if (width > 0) edge.push({ level, index: Math.floor(hashesOn(size, level) / WIDTH), width })
  }
  return edge
}

/**
 * What the tiles hold by their places, and what each full one gives: the hash that must stand for it one level up.
 * @typedef {{ hashes: Map<string, Uint8Array[]>, roots: Map<string, Uint8Array> }} Tree
 */

/** @param {Pick<Tile, 'level' | 'index'>} tile */
const keyOf = ({ level, index }) => `${level}/${index}`

/**
 * @param {readonly Tile[]} tiles
 * @param {Published} published
 * @param {(done: number, all: number) => void} progress
 */
async function readTiles(tiles, published, progress) {
  /** @type {Tree} */
  const tree = { hashes: new Map(), roots: new Map() }
  const left = tiles.values()
  const reader = async () => {
    for (const tile of left) {
      const bytes = await published.tile(tile.level, tile.index, tile.width)
      if (bytes.length !== tile.width * HASH_BYTES) throw new LogFault(`Tile ${keyOf(tile)} has a wrong length.`)
      const hashes = cut(bytes)
      if (tile.width === WIDTH) tree.roots.set(keyOf(tile), await rootOf(hashes))
      tree.hashes.set(keyOf(tile), hashes)
      progress(tree.hashes.size, tiles.length)
    }
  }
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, reader))
  return tree
}

/**
 * Every full tile must give the hash that stands for it.
 * @param {readonly Tile[]} tiles
 * @param {Tree} tree
 */
function holdTogether(tiles, { hashes, roots }) {
  for (const { level, index } of tiles.filter(({ width }) => width === WIDTH)) {
    const above = hashes.get(keyOf({ level: level + 1, index: Math.floor(index / WIDTH) }))?.[index % WIDTH]
    const own = roots.get(keyOf({ level, index }))
    if (above !== undefined && own !== undefined && isSame(own, above)) continue
    const records = WIDTH ** (level + 1)
    const first = index * records
    throw new LogFault(
      `Tile ${level}/${index} does not give the hash above it: something of records ${first} to ${first + records - 1} has changed.`
    )
  }
}

/**
 * By level, the hashes of the edge of a tree of this size, out of tiles that hold at least them.
 * @param {Tree} tree
 * @param {number} size
 */
const edgeIn = ({ hashes }, size) => edgeOf(size).map((tile) => (hashes.get(keyOf(tile)) ?? []).slice(0, tile.width))

/**
 * Does the log go on from what was checked before? Under another name, or another key, it is another log.
 * @param {Checked} before
 * @param {Checked} now
 * @param {Tree} tree with every record of the log now
 */
async function goesOn(before, now, tree) {
  if (before.origin !== now.origin || before.signer !== now.signer) return false
  if (now.size < before.size) throw new LogFault(`The log has lost records: ${before.size} before, ${now.size} now.`)
  if (base64(await rootOfEdge(edgeIn(tree, before.size))) !== before.root) {
    throw new LogFault(`The log does not begin with the ${before.size} records that were checked before.`)
  }
  return true
}

/**
 * Each level's rest is the right side of what lies above.
 * @param {readonly (readonly Uint8Array[])[]} edge lowest first
 */
async function rootOfEdge(edge) {
  const [lowest = [], ...higher] = edge
  let root = await rootOf(lowest)
  for (const hashes of higher) root = await rootOf([...hashes, root])
  return root
}

/**
 * Pairs, level by level; the odd one out moves up as it is: the tree of RFC 6962 §2.1.
 * @param {readonly Uint8Array[]} hashes
 * @returns {Promise<Uint8Array>}
 */
async function rootOf(hashes) {
  if (hashes.length === 0) return sha256(new Uint8Array())
  let level = hashes
  while (level.length > 1) {
    const pairs = []
    for (let at = 0; at + 1 < level.length; at += 2) {
      pairs.push(sha256(join(Uint8Array.of(1), level[at] ?? NONE, level[at + 1] ?? NONE)))
    }
    const above = await Promise.all(pairs)
    level = level.length % 2 === 1 ? [...above, level.at(-1) ?? NONE] : above
  }
  return level[0] ?? NONE
}

const NONE = new Uint8Array()

/** @param {Uint8Array<ArrayBuffer>} data */
const sha256 = async (data) => new Uint8Array(await crypto.subtle.digest('SHA-256', data))

/** @param {Uint8Array} bytes */
const cut = (bytes) =>
  Array.from({ length: bytes.length / HASH_BYTES }, (_, place) =>
    bytes.subarray(place * HASH_BYTES, (place + 1) * HASH_BYTES)
  )

/** @param {...Uint8Array} parts */
function join(...parts) {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** @param {string} text */
const utf8 = (text) => Uint8Array.from(new TextEncoder().encode(text))

/** @param {Uint8Array} bytes */
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** @param {Uint8Array} bytes */
const base64 = (bytes) => btoa(String.fromCharCode(...bytes))

/**
 * Empty for what is no base64, which is the length of nothing here.
 * @param {string} text
 */
function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch {
    return new Uint8Array()
  }
}

/** @param {Uint8Array} a @param {Uint8Array} b */
const isSame = (a, b) => a.length === b.length && a.every((byte, place) => byte === b[place])
