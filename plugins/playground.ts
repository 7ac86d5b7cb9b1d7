// plugins/playground.ts: serves the page at /playground/, on which two people talk through this relay.
import { readFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import fp from 'fastify-plugin'
import { packageFile } from '../src/util/package-root.ts'

const FILES = {
  'index.html': 'text/html; charset=utf-8',
  'playground.css': 'text/css; charset=utf-8',
  'playground.js': 'text/javascript; charset=utf-8'
} as const

/** Scripts, styles and connections of this server only. WebRTC is not under a policy; files are saved from blobs. */
const policyFor = (host: string) =>
  `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ${socketsAt(host)}; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Not every browser takes sockets for part of 'self'. */
const socketsAt = (host: string) => (/^[\w.:[\]-]+$/.test(host) ? `ws://${host} wss://${host}` : '')

export default fp(
  async (app) => {
    const hidden = { schema: { hide: true }, logLevel: 'warn' } as const
    const read = readerOf()
    app.get('/playground', hidden, async (_request, reply) => reply.redirect('playground/', 308)) // as for the console
    for (const [name, type] of Object.entries(FILES)) {
      app.get(name === 'index.html' ? '/playground/' : `/playground/${name}`, hidden, async (request, reply) => {
        reply.headers({ 'content-security-policy': policyFor(request.host), 'cache-control': 'no-cache' })
        return reply.type(type).send(await read(name))
      })
    }
  },
  { name: 'playground', fastify: '5.x' }
)

/** From what the build made; when the server runs from its sources, the script is bundled at its first request. */
function readerOf(): (name: string) => Promise<string> {
  const isBuilt = fileURLToPath(import.meta.url).startsWith(packageFile('dist'))
  const directory = isBuilt ? 'dist/playground' : 'playground'
  const files = new Map<string, Promise<string>>()
  return (name) => {
    const read =
      files.get(name) ??
      (name.endsWith('.js') && !isBuilt ? bundled() : readFile(packageFile(`${directory}/${name}`), 'utf8'))
    files.set(name, read)
    return read
  }
}

async function bundled(): Promise<string> {
  const { bundle } = await import(pathToFileURL(packageFile('scripts/build-playground.mjs')).href)
  return bundle()
}
