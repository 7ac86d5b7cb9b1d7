// Generated frames and requests at a real server, beside pairs that talk.
import { createLogger } from '../../src/observability/logging.ts'
import type { Scope } from '../helpers/at-end.ts'
import { startTestServer } from '../helpers/server.ts'
import { FUZZ_TOKEN, fuzzHttp, routesOf } from './http.ts'
import { l2psPair, signalingPair } from './pair.ts'
import { Random } from './random.ts'
import { FUZZ_ORIGIN } from './socket.ts'
import { type Field, FUZZ_NETWORK, fuzzSockets, makeFuzzers, namesOf } from './sockets.ts'

/** Sockets at once, of each protocol. */
const WORKERS = 16
/** One of so many is a request over HTTP. */
const FRAMES_PER_REQUEST = 40
/** More of the same kind help nobody. */
const MAX_PROBLEMS = 20

export interface FuzzReport {
  /** What a server must not do; none: it is well. */
  readonly problems: readonly string[]
  /** How many messages the pairs exchanged. */
  readonly said: number
  readonly seconds: number
}

/** The same seed sends the same frames; what they meet depends on what the others did meanwhile. */
export async function fuzz(
  scope: Scope,
  { frames, seed }: { readonly frames: number; readonly seed: number }
): Promise<FuzzReport> {
  const problems: string[] = []
  const fail = (problem: string) => {
    if (problems.length < MAX_PROBLEMS) problems.push(problem)
  }
  const stream = { write: (line: string) => fail(`log: ${line}`) }
  const server = await startTestServer(scope, SETTINGS, {
    logger: createLogger({ LOG_LEVEL: 'error' }, { terminal: false, colours: false, stream })
  })
  await server.addNetworks(FUZZ_NETWORK)
  const pairs = [await signalingPair(server), await l2psPair(server)]
  const began = performance.now()
  const { signaling, l2ps, http } = server.addresses
  const urls = { signaling, l2ps: l2ps! }
  const fieldOf = (total: number): Field => {
    let left = total
    const take = (wanted: number) => {
      const taken = problems.length < MAX_PROBLEMS ? Math.min(left, wanted) : 0
      left -= taken
      return taken
    }
    return { urls, fail, take }
  }
  const requests = Math.floor(frames / FRAMES_PER_REQUEST)
  const [sockets, asking] = [fieldOf(frames - requests), fieldOf(requests)]
  const works: Promise<void>[] = []
  let workers = 0
  const nextRandom = () => new Random(seed + 7_919 * workers++)
  const names: string[] = []
  for (const protocol of ['signaling', 'l2ps'] as const) {
    const fuzzers = await makeFuzzers(protocol, WORKERS)
    const others = namesOf(protocol, fuzzers)
    names.push(...others)
    for (const fuzzer of fuzzers) works.push(fuzzSockets(sockets, protocol, nextRandom(), fuzzer, others))
  }
  works.push(fuzzHttp(asking, http, routesOf(server), nextRandom(), names))
  await Promise.all(works)
  const seconds = (performance.now() - began) / 1_000
  const said = await Promise.all(pairs.map((pair) => pair.stop())).catch((error: Error) => fail(error.message))
  if ((await fetch(`${http}/health/ready`)).status !== 200) fail('the server is not ready any more')
  return { problems, said: said?.reduce((sum, each) => sum + each, 0) ?? 0, seconds }
}

/** Without the budgets of limits.md, which would make it slow: they have tests of their own. */
const SETTINGS = {
  ...{ WORK_PER_SOCKET: 0, WORK_PER_ADDRESS: 0, WORK_PER_IDENTITY: 0 },
  ...{ MAX_REFUSED_FRAMES_PER_SECOND: 1_000_000, MAX_CONNECTIONS_PER_ADDRESS: 10_000 },
  ...{ ADMIN_REQUESTS_PER_MINUTE: 1_000_000, AUDIT_REQUESTS_PER_MINUTE: 1_000_000 },
  // What a machine with other work to do does not answer in time is no failure here.
  ...{ DATABASE_DEADLINE_MS: 60_000, REGISTRATION_DEADLINE_SECONDS: 60, PONG_DEADLINE_SECONDS: 60 },
  ...{ PUBLIC_ORIGINS: FUZZ_ORIGIN, ADMIN_TOKEN: FUZZ_TOKEN }
}
