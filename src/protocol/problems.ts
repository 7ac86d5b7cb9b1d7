export interface ProblemSpec {
  readonly status: number
  readonly title: string
  /** What the client should do. */
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
  forbidden: {
    status: 403,
    title: 'The token may only read',
    advice: 'Use a token of the role admin: `demos-relay token create NAME --role admin`.'
  },
  'not-found': {
    status: 404,
    title: 'There is nothing of that name',
    advice: 'Check network, name and path; names in a path are percent-encoded.'
  },
  'wrong-method': {
    status: 405,
    title: 'The path has no such method',
    advice: 'Use one of the methods in `Allow`.'
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
    title: 'Too many requests in a minute',
    advice: 'Wait for the seconds in `Retry-After`.'
  },
  'internal-error': {
    status: 500,
    title: 'The server has made a mistake',
    advice: 'Try again; if it fails again, the cause is in the server log.'
  },
  'too-slow': {
    status: 503,
    title: 'This takes too long now',
    advice: 'Ask for less: one network, or the order of the names.'
  },
  'database-unavailable': {
    status: 503,
    title: 'The database does not answer',
    advice: 'Wait for the seconds in `Retry-After`. Whether a change was made is not known: look before you repeat it.'
  }
} as const satisfies Record<string, ProblemSpec>

/** The media type of a problem's body. */
export const PROBLEM_TYPE = 'application/problem+json'

export type ProblemName = keyof typeof PROBLEMS

/** The `type` of a problem: the place that explains it. */
export const problemType = (problem: ProblemName) => `/docs/errors#${problem}`
