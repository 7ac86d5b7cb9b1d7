// plugins/admin-token.ts — who may administer: whoever shows the token.
import type { IncomingMessage } from 'node:http'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { adminTokenFile, loadAdminToken, tokenChecker } from './admin/api/token.ts'

export interface AdminTokenOptions {
  /** ADMIN_TOKEN; undefined: the one kept in `dataDir`, made at the first start. */
  readonly token: string | undefined
  readonly dataDir: string
}

export interface AdminToken {
  /** Where it is kept; undefined when the configuration gave it. */
  readonly file: string | undefined
  /** Is this the token? Takes the same time whatever the guess. */
  matches(guess: string): boolean
  /** Does the request show it, as its one `Authorization: Bearer …` (RFC 6750)? */
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

/** Of several, Node shows the first alone; a proxy before us may have looked at another. */
const authorizations = ({ rawHeaders }: IncomingMessage) =>
  rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === 'authorization').length
