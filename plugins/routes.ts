// plugins/routes.ts: answers paths that no route has: 404, or 405 where the path is there and the method is not; and requests
// whose handler fails, below /admin and /audit in words of their own.
import type { FastifyError } from 'fastify'
import fp from 'fastify-plugin'
import { limitedLog } from '../src/util/limited-log.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The methods that the path of a request has; none: there is no such path. */
    methodsAt(request: FastifyRequest): string[]
  }
}

/** Registered before every route. */
export default fp(
  async (app) => {
    /** Methods by the pattern of a path. */
    const routes = new Map<string, { matches: RegExp; methods: Set<string> }>()
    app.addHook('onRoute', ({ url, method }) => {
      const known = routes.get(url) ?? { matches: patternOf(url), methods: new Set() }
      for (const each of [method].flat()) known.methods.add(each)
      routes.set(url, known)
    })
    app.decorate('methodsAt', ({ url }) => {
      const path = url.split('?')[0]!
      const found = [...routes.values()].filter(({ matches }) => matches.test(path))
      return [...new Set(found.flatMap(({ methods }) => [...methods]))].sort()
    })
    const log = limitedLog(app.log)
    app.setErrorHandler<FastifyError>((error, { method, routeOptions }, reply) => {
      if ((error.statusCode ?? 500) < 500) return reply.send(error) // Fastify's words for a request that is wrong
      log.error({ err: error, method, route: routeOptions.url }, 'request failed')
      const message = 'The server has made a mistake. Its operator finds the cause in the log.'
      return reply.code(500).send({ message, error: 'Internal Server Error', statusCode: 500 })
    })
    app.setNotFoundHandler((request, reply) => {
      const [path] = request.url.split('?')
      const methods = app.methodsAt(request)
      if (methods.length === 0 || methods.includes(request.method)) {
        const message = `Route ${request.method}:${path} not found`
        return reply.code(404).send({ message, error: 'Not Found', statusCode: 404 })
      }
      const message = `${path} has no ${request.method}, but ${methods.join(', ')}`
      return reply
        .code(405)
        .header('allow', methods.join(', '))
        .send({ message, error: 'Method Not Allowed', statusCode: 405 })
    })
  },
  { name: 'routes', fastify: '5.x' }
)

/** `/admin/networks/:uid` as a regular expression. */
function patternOf(url: string): RegExp {
  const parts = url.split('/').map((part) => {
    if (part === '*') return '.*'
    return part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('/')}$`)
}
