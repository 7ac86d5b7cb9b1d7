// Plays every rule against a server, one after the other, and says which of them hold.
import { NotSupported, type Said, Unreachable, Violation } from './connection.ts'
import { L2PS_MESSAGE_RULES } from './l2ps-message-rules.ts'
import { L2PS_RULES } from './l2ps-rules.ts'
import { type Protocol, type Rule, Stage, type Target } from './rule.ts'
import { Shapes } from './shapes.ts'
import { SIGNALING_MESSAGE_RULES } from './signaling-message-rules.ts'
import { SIGNALING_RULES } from './signaling-rules.ts'

export type Verdict = 'holds' | 'fails' | 'not supported'

export interface Result {
  readonly protocol: Protocol
  readonly section: string
  readonly title: string
  readonly verdict: Verdict
  /** Why it does not hold. */
  readonly reason?: string
  /** The frames that show it, in order, for a rule that fails. */
  readonly frames?: readonly Said[]
  readonly seconds: number
}

const RULES: Readonly<Record<Protocol, readonly Rule[]>> = {
  signaling: [...SIGNALING_RULES, ...SIGNALING_MESSAGE_RULES],
  l2ps: [...L2PS_RULES, ...L2PS_MESSAGE_RULES]
}

/** The rules in the order of their sections. */
export const rulesOf = (protocol: Protocol): Rule[] =>
  [...RULES[protocol]].sort((a, b) => order(a.section) - order(b.section))

function order(section: string): number {
  const [chapter = 0, part = 0] = section.split('.').map(Number)
  return chapter * 100 + part
}

/**
 * Checks one protocol; `onResult` hears of each rule when it has been checked. Rejects with `Unreachable` when there is no
 * socket at the address. A rule never ends the run, whatever the server does.
 */
export async function checkProtocol(
  protocol: Protocol,
  target: Target,
  onResult: (result: Result) => void
): Promise<Result[]> {
  const probe = new Stage(target)
  await probe.connect('probe')
  await probe.end()
  const shapes = new Shapes(protocol)
  const results: Result[] = []
  const add = (result: Omit<Result, 'protocol'>) => {
    results.push({ protocol, ...result })
    onResult(results.at(-1)!)
  }
  for (const rule of rulesOf(protocol)) add(await checkRule(rule, { ...target, onFrame: (text) => shapes.check(text) }))
  add({ section: protocol === 'signaling' ? '2' : '4', title: SHAPES, seconds: 0, ...verdictOf(shapes) })
  return results
}

const SHAPES = 'every frame the server sent in this run has a documented type and shape'

function verdictOf({ faults }: Shapes): Pick<Result, 'verdict' | 'reason' | 'frames'> {
  if (faults.size === 0) return { verdict: 'holds' }
  return { verdict: 'fails', reason: [...faults.keys()].join('; '), frames: [...faults.values()] }
}

async function checkRule({ section, title, check }: Rule, target: Target): Promise<Omit<Result, 'protocol'>> {
  const stage = new Stage(target)
  const startedAt = performance.now()
  const failed = await check(stage).then(
    () => undefined,
    (error: Error) => error
  )
  const frames = [...stage.said]
  await stage.end()
  const seconds = Math.round(performance.now() - startedAt) / 1_000
  const about = { section, title, seconds }
  if (failed === undefined) return { ...about, verdict: 'holds' }
  if (failed instanceof NotSupported) return { ...about, verdict: 'not supported', reason: failed.message }
  // A rule reads members as if they were there. What JavaScript says of one that is not helps nobody: the frames do.
  const isOurs = failed instanceof Violation || failed instanceof Unreachable
  const reason = isOurs ? failed.message : 'a frame lacks a member that this rule reads, or it has another type'
  return { ...about, verdict: 'fails', reason, frames }
}
