/** How the texts begin that keys sign as proofs, each for its purpose. */
const PREFIXES = ['register:', 'history:', 'demos-relay:']

/**
 * Do these bytes begin like the text of a proof? A signature over them is no evidence that its key wanted anything else: a
 * recorded L2PS proof would register a signaling name if its text passed as an encryption key.
 */
export function isProofText(bytes: Uint8Array): boolean {
  const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1').trimStart().toLowerCase()
  return PREFIXES.some((prefix) => start.startsWith(prefix))
}
