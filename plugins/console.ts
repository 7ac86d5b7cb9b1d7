// plugins/console.ts: serves the page at /console/, a fixed set of files that use the REST API like any client.
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import fp from 'fastify-plugin'
import { packageFile } from '../src/util/package-root.ts'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml'
}

/** No inline script or style, nothing from elsewhere; forms are answered by the script, never sent. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export default fp(
  async (app) => {
    const hidden = { schema: { hide: true }, logLevel: 'warn' } as const
    app.get('/console', hidden, async (_request, reply) => reply.redirect('console/', 308)) // relative: also behind a prefix
    for (const { name, type, body, etag } of await readFiles(packageFile('console'))) {
      const url = name === 'index.html' ? '/console/' : `/console/${name}`
      app.get(url, hidden, async (request, reply) => {
        reply.headers({ 'content-security-policy': POLICY, 'cache-control': 'no-cache', etag })
        if (tagsIn(request.headers['if-none-match']).includes(etag)) return reply.code(304).send()
        return reply.type(type).send(body)
      })
    }
  },
  { name: 'console', fastify: '5.x' }
)

async function readFiles(directory: string) {
  const names = (await readdir(directory)).filter((name) => extname(name) in TYPES)
  return Promise.all(
    names.map(async (name) => {
      const body = await readFile(join(directory, name))
      const etag = `"${createHash('sha256').update(body).digest('base64url')}"`
      return { name, type: TYPES[extname(name)]!, body, etag }
    })
  )
}

/** Weak tags too: a proxy that compresses makes them of ours. */
const tagsIn = (header = '') => header.split(',').map((tag) => tag.trim().replace(/^W\//, ''))
