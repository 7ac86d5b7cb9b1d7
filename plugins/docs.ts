// plugins/docs.ts: documents made from the code. OpenAPI of the routes, AsyncAPI of the frames, pages for people.
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifySchema } from 'fastify'
import fp from 'fastify-plugin'
import { asyncApiDocument } from '../src/docs/asyncapi.ts'
import { errorsPage } from '../src/docs/errors.ts'
import { framesPage } from '../src/docs/frames-page.ts'
import { PAGE_POLICY } from '../src/docs/markdown.ts'
import { VERSION } from '../src/util/package-root.ts'

const TAGS = {
  health: 'Is the process up, can it serve?',
  metrics: 'What Prometheus reads.',
  audit: 'The transparency logs in the C2SP formats (docs/audit.md).',
  tokens: 'Who asks. This and all that follow need a token.',
  stats: 'Totals.',
  queues: 'Messages that wait for their recipients.',
  peers: 'Who is connected.',
  relays: 'The relays over one database.',
  identities: 'Who owns a name.',
  networks: 'L2PS networks and their members.',
  events: 'What administrators did.',
  sockets: 'The WebSocket endpoints; their frames are in the AsyncAPI document.'
} as const

const DESCRIPTION = `The HTTP side of demos-relay. The WebSocket protocols: [for people](/docs/asyncapi),
[as AsyncAPI](/docs/asyncapi.json). What errors mean: [for people](/docs/errors).`

/** What the UI may load: what this server serves, nothing else. */
const UI_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Without the bar for choosing another document: there is none, and the policy would not load it. */
const UI_THEME = { title: 'Demos Relay: REST', css: [{ filename: 'theme.css', content: '.topbar { display: none }' }] }

const JSON_TYPE = 'application/json; charset=utf-8'

/** Registered before the plugins whose routes it documents. */
export default fp(
  async (app) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Demos Relay',
          version: VERSION,
          description: DESCRIPTION,
          license: { name: 'MIT', identifier: 'MIT' }
        },
        servers: [{ url: '/', description: 'The listener of this document.' }],
        tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
        components: {
          securitySchemes: {
            bearer: { type: 'http', scheme: 'bearer', description: 'ADMIN_TOKEN, or a token of `demos-relay token`' }
          }
        }
      },
      transform: ({ schema, url, route }) => documented(schema, url, [route.method].flat()[0]!)
    })
    await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: UI_POLICY, theme: UI_THEME, logLevel: 'warn' })

    const hidden = { schema: { hide: true }, logLevel: 'warn' } as const
    // Written out once: a hundred kilobytes each.
    let routes: string | undefined
    app.get('/docs/openapi.json', hidden, async (_request, reply) => {
      routes ??= JSON.stringify(app.swagger())
      return reply.type(JSON_TYPE).send(routes)
    })
    const frames = JSON.stringify(asyncApiDocument())
    app.get('/docs/asyncapi.json', hidden, async (_request, reply) => reply.type(JSON_TYPE).send(frames))
    const pages = { asyncapi: framesPage(), errors: errorsPage() }
    for (const [name, page] of Object.entries(pages)) {
      app.get(`/docs/${name}`, hidden, async (_request, reply) =>
        reply.type('text/html; charset=utf-8').header('content-security-policy', PAGE_POLICY).send(page)
      )
    }
  },
  { name: 'docs', fastify: '5.x' }
)

/**
 * A route as the document has it: with the tag of the first part of its path unless it says otherwise, an id, whether it
 * wants a token, and a name for what a wildcard stands for.
 */
function documented(schema: FastifySchema | undefined, url: string, method: string) {
  const part = url.split('/')[1] ?? ''
  const named = { tags: [part in TAGS ? part : 'sockets'], security: [], operationId: idOf(method, url), ...schema }
  const params = named.params as { properties: Record<string, unknown>; required: string[] } | undefined
  if (!url.includes('*') || params === undefined) return { schema: named, url }
  const { '*': path, ...properties } = params.properties
  const required = params.required.map((name) => (name === '*' ? 'path' : name))
  return {
    schema: { ...named, params: { ...params, properties: { ...properties, path }, required } },
    url: url.replace('*', ':path')
  }
}

/** `GET /admin/queues/:network` becomes getAdminQueuesByNetwork: the same as long as the route is. */
function idOf(method: string, url: string): string {
  const words = url.split(/[/.]/).map((part) => {
    const word = part.replace(/^:/, '').replace('*', 'path')
    const capital = word.charAt(0).toUpperCase() + word.slice(1)
    return part.startsWith(':') || part === '*' ? `By${capital}` : capital
  })
  return `${method.toLowerCase()}${words.join('') || 'Root'}`
}
