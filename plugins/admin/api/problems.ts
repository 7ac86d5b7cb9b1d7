import { type Static, Type } from '@sinclair/typebox'

export interface ProblemSpec {
  readonly status: number
  readonly title: string
  /** What whoever asked should do. */
  readonly advice: string
}

/** Every problem an HTTP answer may name (RFC 9457), by the last part of its `type`. */
export const PROBLEMS = {
  'invalid-request': {
    status: 400,
    title: 'The request is not of the shape it must have',
    advice: 'Correct the field that `detail` names; the same request fails again.'
  },
  unauthorized: {
    status: 401,
    title: 'The administration token is missing or wrong',
    advice: 'Send `Authorization: Bearer <ADMIN_TOKEN>`; the banner says where the token is kept.'
  },
  'not-found': {
    status: 404,
    title: 'There is nothing of that name',
    advice: 'Check network, name and path; names in a path are percent-encoded.'
  },
  'network-exists': {
    status: 409,
    title: 'There is a network of that uid already',
    advice: 'Choose another uid, or change the network that is there.'
  },
  'network-in-file': {
    status: 409,
    title: 'The network is defined by a file',
    advice: 'Change `<L2PS_DIR>/<uid>/config.json`; the server follows within seconds.'
  },
  'messages-waiting': {
    status: 409,
    title: 'Messages are waiting',
    advice: 'Let them be received or purge them first; `force=true` purges them.'
  },
  'too-large': { status: 413, title: 'The body is too large', advice: 'Send less.' },
  'not-json': {
    status: 415,
    title: 'The body is not JSON',
    advice: 'Send JSON, with `Content-Type: application/json`.'
  },
  'too-many-requests': {
    status: 429,
    title: 'This address asks too often',
    advice: 'Wait for the seconds in `Retry-After`.'
  },
  'internal-error': {
    status: 500,
    title: 'Our fault',
    advice: 'Try again; if it fails again, the cause is in the server log.'
  },
  'database-unavailable': {
    status: 503,
    title: 'The database does not answer',
    advice: 'Wait for the seconds in `Retry-After`. Whether a change was made is not known: look before you repeat it.'
  }
} as const satisfies Record<string, ProblemSpec>

/** The media type of {@link Problem}. */
export const PROBLEM_TYPE = 'application/problem+json'

export type ProblemName = keyof typeof PROBLEMS

/** The body of an answer that says no (RFC 9457). */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'Names the problem; a path on this server that explains it.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String({ description: 'What is wrong with this request.' })),
    field: Type.Optional(Type.String({ description: 'Which part of the request, like `query/limit`.' })),
    instance: Type.Optional(Type.String({ description: 'The path that was asked for.' }))
  },
  { description: 'What went wrong (RFC 9457).' }
)

/** Refuses a request. */
export class ProblemError extends Error {
  override name = 'ProblemError'
  readonly problem: ProblemName
  readonly field: string | undefined
  /** For Fastify. */
  readonly statusCode: number

  constructor(problem: ProblemName, detail: string, field?: string) {
    super(detail)
    this.problem = problem
    this.field = field
    this.statusCode = PROBLEMS[problem].status
  }
}

export const problemType = (problem: ProblemName) => `/docs/errors#${problem}`

export function problemBody(
  problem: ProblemName,
  about: { detail?: string | undefined; field?: string | undefined; instance?: string | undefined } = {}
): Static<typeof Problem> {
  const { status, title } = PROBLEMS[problem]
  return { type: problemType(problem), title, status, ...about } as Static<typeof Problem>
}
