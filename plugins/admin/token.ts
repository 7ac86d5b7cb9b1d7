// plugins/admin/token.ts: the token of the administration. It is configured, or made once and kept in DATA_DIR.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { StartError } from '../../src/util/start-error.ts'
import { writeOnce } from '../../src/util/write-once.ts'

export interface AdminTokenOptions {
  /** ADMIN_TOKEN; undefined: the one kept in `dataDir`, made at the first start. */
  readonly token: string | undefined
  readonly dataDir: string
}

export interface AdminToken {
  /** Where the token is kept; undefined when it is configured. */
  readonly file: string | undefined
  /** Is this the token? Takes the same time for every guess. */
  matches(guess: string): boolean
  /** Does the request carry the token in its only `Authorization: Bearer …` header (RFC 6750)? */
  isShown(request: FastifyRequest): boolean
}

declare module 'fastify' {
  interface FastifyInstance {
    adminToken: AdminToken
  }
}

export default fp<AdminTokenOptions>(
  async (app, { token, dataDir }) => {
    const matches = tokenChecker(token ?? (await loadAdminToken(dataDir)))
    app.decorate('adminToken', {
      file: token === undefined ? adminTokenFile(dataDir) : undefined,
      matches,
      isShown: ({ headers, raw }) => {
        const [, guess] = /^bearer ([!-~]+)$/i.exec(headers.authorization ?? '') ?? []
        return guess !== undefined && matches(guess) && authorizations(raw) === 1
      }
    })
  },
  { name: 'admin-token', fastify: '5.x' }
)

/** Of several such headers, Node shows the first alone; a proxy in front of the server may have checked another. */
const authorizations = ({ rawHeaders }: IncomingMessage) =>
  rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'authorization').length

/** Random bytes of a token that is made here. */
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
  if (!TOKEN.test(token)) throw new StartError(`${path} does not hold a token: at least 16 printable characters`)
  return token
}

/** Compares SHA-256 digests, so that neither the time nor the length of a guess tells anything. */
function tokenChecker(token: string): (guess: string) => boolean {
  const digest = sha256(token)
  return (guess) => timingSafeEqual(sha256(guess), digest)
}

const sha256 = (text: string) => createHash('sha256').update(text).digest()
