// The Merkle tree of RFC 6962 §2.1: hashes, proofs and their verification. Pure; where hashes lie is tiles.ts.
import { hash } from 'node:crypto'

/** SHA-256. By way of a text, which takes a third of the time less than to have Node make a buffer. */
export const sha256 = (data: Uint8Array | string): Buffer => Buffer.from(hash('sha256', data, 'binary'), 'binary')

const HASH_BYTES = 32
/** What a node is hashed from: 0x01, left, right. Reused, as hashing ends before it returns. */
const NODE = Buffer.alloc(1 + 2 * HASH_BYTES, 1)

/** RFC 6962 §2.1: a leaf is hashed with 0x00 in front, so that no leaf can pass for a node. */
export function leafHash(entry: Uint8Array): Buffer {
  const leaf = Buffer.allocUnsafe(1 + entry.length)
  leaf[0] = 0
  leaf.set(entry, 1)
  return sha256(leaf)
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  if (left.length !== HASH_BYTES || right.length !== HASH_BYTES) throw new RangeError('not two SHA-256 hashes')
  NODE.set(left, 1)
  NODE.set(right, 1 + HASH_BYTES)
  return sha256(NODE)
}

/** The root of a tree without leaves. */
export const EMPTY_ROOT: Buffer = sha256('')

/** The leaves from `start` up to, but without, `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The proof does not fit: for a reader, the log said something false. */
export class ProofMismatch extends Error {
  override name = 'ProofMismatch'
}

/** The largest power of two below `n`: where RFC 6962 splits a tree of `n` leaves (n > 1). */
export function splitPoint(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

/** The root over these leaf (or subtree) hashes. */
export function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 0) return EMPTY_ROOT
  // Pairs, level by level; the odd one out moves up as it is, which gives the tree of RFC 6962.
  let level = hashes
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let i = 0; i + 1 < level.length; i += 2) above.push(nodeHash(level[i]!, level[i + 1]!))
    if (level.length % 2 === 1) above.push(level.at(-1)!)
    level = above
  }
  return level[0]!
}

/** The subtrees whose hashes are the inclusion proof of a leaf, from the leaf upwards (PATH, RFC 6962 §2.1.1). */
export function inclusionRanges(index: number, size: number): Range[] {
  if (!(Number.isSafeInteger(index) && index >= 0 && index < size)) throw new RangeError('no such leaf in the tree')
  const down: Range[] = []
  let start = 0
  let end = size
  while (end - start > 1) {
    const middle = start + splitPoint(end - start)
    if (index < middle) {
      down.push({ start: middle, end })
      end = middle
    } else {
      down.push({ start, end: middle })
      start = middle
    }
  }
  return down.reverse()
}

/** The subtrees whose hashes prove that the first `old` leaves are those of the older tree (PROOF, RFC 6962 §2.1.2). */
export function consistencyRanges(old: number, size: number): Range[] {
  if (!(Number.isSafeInteger(old) && old >= 0 && old <= size)) throw new RangeError('the older tree is the larger one')
  if (old === 0 || old === size) return []
  const down: Range[] = []
  let start = 0
  let end = size
  while (old < end) {
    const middle = start + splitPoint(end - start)
    if (old <= middle) {
      down.push({ start: middle, end })
      end = middle
    } else {
      down.push({ start, end: middle })
      start = middle
    }
  }
  if (start > 0) down.push({ start, end }) // where the older tree ends, unless that is its own root
  return down.reverse()
}

/** Throws `ProofMismatch` unless the proof leads from the leaf to the root. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array
): void {
  const ranges = index >= 0 && index < size ? inclusionRanges(index, size) : undefined
  if (ranges?.length !== proof.length) throw new ProofMismatch('the proof does not have the length of its path')
  const found = ranges.reduce<Uint8Array>((hash, { start }, step) => {
    const sibling = proof[step]!
    return start > index ? nodeHash(hash, sibling) : nodeHash(sibling, hash)
  }, leaf)
  if (!Buffer.from(root).equals(found)) throw new ProofMismatch('the leaf is not under this root')
}

/** Throws `ProofMismatch` unless the proof shows that the tree of `old` leaves is the beginning of that of `size`. */
export function verifyConsistency(
  old: number,
  oldRoot: Uint8Array,
  size: number,
  root: Uint8Array,
  proof: readonly Uint8Array[]
): void {
  const ranges = old <= size ? consistencyRanges(old, size) : undefined
  if (ranges?.length !== proof.length) throw new ProofMismatch('the proof does not have the length of its path')
  if (old === 0) return // everything begins with nothing
  if (old === size) {
    if (!Buffer.from(root).equals(oldRoot)) throw new ProofMismatch('two roots of one size')
    return
  }
  // The first step is the end of the older tree: in the proof, or, when it is that whole tree, its root.
  const isWhole = ranges[0]!.start === old
  let before: Uint8Array = isWhole ? oldRoot : proof[0]!
  let after = before
  for (const [step, { start }] of ranges.entries()) {
    if (step === 0 && !isWhole) continue
    const sibling = proof[step]!
    if (start >= old) after = nodeHash(after, sibling)
    else {
      before = nodeHash(sibling, before)
      after = nodeHash(sibling, after)
    }
  }
  if (!Buffer.from(oldRoot).equals(before)) throw new ProofMismatch('the proof is not about the older tree')
  if (!Buffer.from(root).equals(after)) throw new ProofMismatch('the newer tree does not begin with the older one')
}
