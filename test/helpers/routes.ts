import type { FastifyInstance } from 'fastify'

export interface ServedRoute {
  readonly method: string
  /** Parameters as Fastify writes them: `/admin/networks/:uid`. */
  readonly url: string
}

/** Every route that is served, documented or not: Fastify prints them as a tree of the parts of their paths. */
export function servedRoutes(app: FastifyInstance): ServedRoute[] {
  const parts: string[] = []
  const tree = app.printRoutes({ commonPrefix: false })
  return tree.split('\n').flatMap((line) => {
    const [, indent, part, methods] = /^((?:[│ ] {3})*)[├└]── (.*?)(?: \(([A-Z, ]+)\))?$/.exec(line) ?? []
    if (part === undefined) return []
    parts.length = indent!.length / 4
    parts.push(part)
    const found = (methods ?? '').split(', ').filter((method) => method !== '')
    return found.map((method) => ({ method, url: parts.join('') }))
  })
}

/** Its path in the OpenAPI document. */
export const documentedPath = (url: string): string => url.replace(/:(\w+)/g, '{$1}').replace('*', '{path}')
