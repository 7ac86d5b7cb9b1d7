import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../helpers/wait.ts'
import { digestsOf, sequenced, unrecorded } from './audit-check.ts'
import { isFlawless, judge, storiesOf, type Verdict } from './checker.ts'
import { unreleased } from './database-check.ts'
import { addressOf, type PeerSpec } from './dialects.ts'
import type { Fault, PeerEvent } from './history.ts'
import { faultLog, NEMESES, type NemesisName, type World } from './nemeses.ts'
import { type PeerGroup, startPeers } from './peers.ts'
import { seededRandom } from './random.ts'
import { RELAY_NEMESES, type RelayNemesisName } from './relay-nemeses.ts'
import type { Stage } from './stage.ts'

export interface ChaosRun {
  /** Chooses peers, messages and faults; the moments are the machine's. */
  readonly seed: number
  /** What may happen; none: nothing does. */
  readonly nemeses: readonly (NemesisName | RelayNemesisName)[]
  /** How long faults are begun, in ms. The run takes until they are healed and everything has arrived. */
  readonly activeMs: number
  readonly freezeMs?: number
  /** Told now and then what has happened so far. */
  progress?(soFar: { attempted: number; faults: number }): void
}

export interface ChaosResult {
  readonly run: Pick<ChaosRun, 'seed' | 'nemeses'>
  readonly faults: readonly Fault[]
  readonly verdict: Verdict
  /** Acknowledged messages that reached a peer that was here only when it registered anew. */
  readonly late: readonly string[]
  /** Everything else that is wrong: in the database, in the server's log. */
  readonly problems: readonly string[]
  /** Messages that were answered with INTERNAL_ERROR. */
  readonly internalErrors: number
  /** What happened to each message that is wrong, event by event. */
  readonly stories: readonly string[]
  readonly ok: boolean
}

/** Longest the mailboxes take to become empty when nothing is broken any more, in ms. */
const DRAIN_MS = 20_000
/** How long the receipts of the last deliveries may take, in ms. */
const RECEIPTS_MS = 3_000
/** How long deliveries may take to peers that never went away, in ms. */
const CALM_MS = 6_000

/** Peers write to each other while things break; then everything is healed, drained and compared. */
export async function runChaos(stage: Stage, run: ChaosRun): Promise<ChaosResult> {
  const random = seededRandom(run.seed)
  const peers = castOf(run.seed)
  const events: PeerEvent[] = []
  const emit = (event: PeerEvent) => void events.push(event)
  const { faults, harm } = faultLog()
  const problemsBefore = stage.servers.map(({ problems }) => problems.length)
  const groups = await startGroups(stage, run, peers, emit)
  const progress = setInterval(() => {
    const attempted = events.filter(({ kind }) => kind === 'attempt').length
    run.progress?.({ attempted, faults: injected(faults) })
  }, 1_000)
  try {
    await together(groups, (group) => group.registered())
    await disturb(run, { stage, random, peers, groups, freezeMs: run.freezeMs ?? 10_000, harm })
    await together(groups, (group) => group.settle())
    await together(groups, (group) => group.registered())
    const recipients = await Promise.all(peers.map(addressOf))
    const late = await comeToRest(stage, groups, recipients, () => judge({ events, faults }))
    const verdict = judge({ events, faults })
    const hashes = await l2psIds(events, peers)
    await sequenced(stage)
    const problems = [
      ...stage.servers.flatMap(({ problems }, index) => problems.slice(problemsBefore[index])),
      ...(await stage.look((sql) =>
        unreleased(
          sql,
          acknowledged(events).filter((id) => hashes.has(id)),
          recipients
        )
      )),
      ...(await stage.look((sql) =>
        unrecorded(
          sql,
          digestsOf(events, (id) => hashes.has(id))
        )
      ))
    ]
    const ok = isFlawless(verdict) && late.length === 0 && problems.length === 0
    return {
      run: { seed: run.seed, nemeses: run.nemeses },
      faults,
      verdict,
      late,
      problems,
      internalErrors: internalErrors(events),
      stories: storiesOf({ events, faults }, verdict),
      ok
    }
  } finally {
    clearInterval(progress)
    await together(groups, (group) => group.end())
  }
}

/** Faults that were injected, not counting stretches within them. */
export const injected = (faults: readonly Fault[]): number => faults.filter(({ stopsCommits }) => !stopsCommits).length

/** Four peers of each protocol here, two in a process of their own; one of each acknowledges, one is restless. */
function castOf(seed: number): PeerSpec[] {
  return (['signaling', 'l2ps'] as const).flatMap((protocol) =>
    [0, 1, 2, 3, 4, 5].map((place) => {
      const name = `${protocol}-${seed}-${place}`
      const key = createHash('sha256').update(name).digest('hex')
      return { name, protocol, seed: key, acks: place === 1 || place === 4, restless: place === 2 }
    })
  )
}

async function startGroups(stage: Stage, run: ChaosRun, peers: readonly PeerSpec[], emit: (event: PeerEvent) => void) {
  const lives = (here: boolean) => peers.filter(({ name }) => /[45]$/.test(name) !== here)
  const plan = { url: stage.proxy.url, seed: run.seed, everyone: peers }
  return Promise.all([
    startPeers({ ...plan, peers: lives(true) }, emit),
    stage.peerProcess.start({ ...plan, peers: lives(false) }, emit)
  ])
}

/** The nemeses of a cluster are for its stage alone. */
const ALL = { ...NEMESES, ...RELAY_NEMESES } as Readonly<Record<string, (world: never) => Promise<void>>>

async function disturb({ nemeses, activeMs }: ChaosRun, world: World): Promise<void> {
  const { random } = world
  const end = performance.now() + activeMs
  do {
    await delay(random.between(300, 1_000))
    if (nemeses.length > 0) await ALL[random.pick(nemeses)]!(world as never)
  } while (performance.now() < end)
}

/**
 * Waits for what is on its way, then has every peer register anew, until no mailbox holds anything. Returns the
 * acknowledged messages that had not come until then.
 */
async function comeToRest(
  stage: Stage,
  groups: readonly PeerGroup[],
  recipients: readonly string[],
  verdict: () => Verdict
): Promise<readonly string[]> {
  await settled(() => verdict().lost.length === 0, CALM_MS)
  const late = verdict().lost
  await settled(async () => (await waiting(stage, recipients)) === 0, RECEIPTS_MS) // what a dead session was sent waits on
  await together(groups, (group) => group.reconnect())
  await settled(async () => (await waiting(stage, recipients)) === 0 && verdict().lost.length === 0, DRAIN_MS)
  return late
}

/** Waits for a condition; that it does not come true is for the checks to say. */
const settled = (isSo: () => boolean | Promise<boolean>, ms: number) => until('', isSo, ms).catch(() => {})

const waiting = (stage: Stage, recipients: readonly string[]) =>
  stage.look(async (sql) => {
    const [row] = await sql`
      select count(*)::int as left from queue_entry where recipient = any(${recipients as string[]}::text[])`
    return Number(row!.left)
  })

async function together(groups: readonly PeerGroup[], work: (group: PeerGroup) => Promise<void>): Promise<void> {
  await Promise.all(groups.map(work))
}

/** The ids of messages that were tried in L2PS, where they are hashes. */
async function l2psIds(events: readonly PeerEvent[], peers: readonly PeerSpec[]): Promise<Set<string>> {
  const keys = new Set(await Promise.all(peers.filter(({ protocol }) => protocol === 'l2ps').map(addressOf)))
  return new Set(events.flatMap((event) => (event.kind === 'attempt' && keys.has(event.from) ? [event.id] : [])))
}

const internalErrors = (events: readonly PeerEvent[]): number =>
  events.filter((event) => event.kind === 'answer' && event.words?.includes('INTERNAL_ERROR') === true).length

const acknowledged = (events: readonly PeerEvent[]): string[] =>
  events.flatMap((event) => (event.kind === 'answer' && event.outcome === 'acknowledged' ? [event.id] : []))
