// What a reader of a log does with proofs: RFC 6962 §2.1, checked against its vectors. Independent of the client's.
import { inclusionRanges, nodeHash, type Range, splitPoint } from '../../src/tlog/tree.ts'

/** The proof does not fit: for a reader, the log said something false. */
export class ProofMismatch extends Error {
  override name = 'ProofMismatch'
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
