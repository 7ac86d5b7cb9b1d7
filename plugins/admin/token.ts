// plugins/admin/token.ts: who may administer. One token is configured, or made once and kept in DATA_DIR; more may be named in a file.
import { timingSafeEqual } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { adminTokenFile } from '../../src/config/files.ts'
import { digestOf, FIRST_TOKEN, makeToken, TokenFile, type TokenHolder } from '../../src/http/tokens.ts'
import { StartError } from '../../src/util/start-error.ts'
import { writeOnce } from '../../src/util/write-once.ts'

export { adminTokenFile }

export interface AdminTokenOptions {
  /** ADMIN_TOKEN; undefined: the one kept in `dataDir`, made at the first start. */
  readonly token: string | undefined
  readonly dataDir: string
  /** The file of the further tokens; it may be missing. */
  readonly file: string
}

export interface AdminToken {
  /** Where the first token is kept; undefined when it is configured. */
  readonly file: string | undefined
  /** Is this the first token? Takes the same time for every guess. */
  matches(guess: string): boolean
  /** Whose token the request carries in its only `Authorization: Bearer …` header (RFC 6750). */
  holder(request: FastifyRequest): Promise<TokenHolder | undefined>
  /** Does the request carry a token, of whatever role? */
  isShown(request: FastifyRequest): Promise<boolean>
}

declare module 'fastify' {
  interface FastifyInstance {
    adminToken: AdminToken
  }
}

export default fp<AdminTokenOptions>(
  async (app, { token, dataDir, file }) => {
    const matches = tokenChecker(token ?? (await loadAdminToken(dataDir)))
    const named = await TokenFile.open(file, ({ message }) =>
      app.log.warn({ reason: message }, 'named tokens not read again: those read before stay in use')
    ).catch(({ message }: Error) => {
      throw new StartError(message)
    })
    const holder: AdminToken['holder'] = async ({ headers, raw }) => {
      const [, guess] = /^bearer ([!-~]+)$/i.exec(headers.authorization ?? '') ?? []
      if (guess === undefined || authorizations(raw) !== 1) return undefined
      return matches(guess) ? { name: FIRST_TOKEN, role: 'admin' } : named.holderOf(guess)
    }
    app.decorate('adminToken', {
      file: token === undefined ? adminTokenFile(dataDir) : undefined,
      matches,
      holder,
      isShown: async (request) => (await holder(request)) !== undefined
    })
  },
  { name: 'admin-token', fastify: '5.x' }
)

/** Of several such headers, Node shows the first alone; a proxy in front of the server may have checked another. */
const authorizations = ({ rawHeaders }: IncomingMessage) =>
  rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'authorization').length

/** Printable ASCII without spaces: what fits into a header. */
const TOKEN = /^[!-~]{16,4096}$/

/** A new token, as the text of its file. */
export const makeAdminToken = (): string => `${makeToken()}\n`

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
  const digest = digestOf(token)
  return (guess) => timingSafeEqual(digestOf(guess), digest)
}
