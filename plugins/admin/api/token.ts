// The administrator's token: given in the configuration, or made once and kept beside the database.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { writeOnce } from '../../../src/util/write-once.ts'

/** Characters of the token we make: 32 random bytes. */
const MADE_BYTES = 32
/** Printable ASCII without spaces: what fits into a header. */
const TOKEN = /^[!-~]{16,4096}$/

export const adminTokenFile = (dataDir: string): string => join(dataDir, 'admin.token')

/** A new token, as the text of its file. */
export const makeAdminToken = (): string => `${randomBytes(MADE_BYTES).toString('base64url')}\n`

/** Reads the token of DATA_DIR; makes one (mode 0600) when there is none. Throws when the file holds no token. */
export async function loadAdminToken(dataDir: string): Promise<string> {
  const path = adminTokenFile(dataDir)
  const made = makeAdminToken()
  const text = (await writeOnce(path, made)) ? made : await readFile(path, 'utf8')
  const token = text.trim()
  if (!TOKEN.test(token)) throw new Error(`${path} does not hold a token: at least 16 printable characters`)
  return token
}

/** Compares in the same time whatever the guess: by SHA-256, so the lengths tell nothing either. */
export function tokenChecker(token: string): (guess: string) => boolean {
  const digest = sha256(token)
  return (guess) => timingSafeEqual(sha256(guess), digest)
}

const sha256 = (text: string) => createHash('sha256').update(text).digest()
