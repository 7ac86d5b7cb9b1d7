// Attackers beside three quiet pairs: what the pairs, newcomers and an operator notice.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { constants, setPriority } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { serverProcess } from '../chaos/server-process.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { startPostgres, temporaryDirectory } from '../helpers/database.ts'
import type { Line } from '../helpers/inbox.ts'
import { openL2psPeer } from '../helpers/l2ps-peer.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { openPeer, type Peer, quickIdentity } from '../helpers/peer.ts'
import { within } from '../helpers/wait.ts'
import { SIEGE_NETWORK } from './attack.ts'
import { OWNED_NAME } from './attacks.ts'
import { l2psTalks, signalingTalks, type Talk } from './talk.ts'

const PROBE_EVERY_MS = 500
/** Longest anything is waited for, in ms. */
const PATIENCE_MS = 15_000
/** The third pair is one of L2PS. */
const SIGNALING_PAIRS = 2

/** What was noticed while an attack went on; times in ms. */
export interface SiegeRow {
  readonly attack: string
  readonly p50: number
  readonly p99: number
  readonly sent: number
  readonly refused: number
  readonly lost: number
  readonly registration: number
  readonly owner: number
  /** How often the owner got into its name. */
  readonly returned: number
  readonly scrape: number
  /** How late the event loop of the server was, 99th percentile. */
  readonly lag: number
  readonly megabytes: number
  /** Close codes and HTTP answers of the attackers' sockets, and how many were told. */
  readonly ends: string
}

export interface Siege {
  /** `undefined`: nobody attacks. */
  run(attack: string | undefined, ms: number): Promise<SiegeRow>
  /** What is wrong with the server after all. */
  readonly problems: readonly string[]
  /** The last lines of its log. */
  readonly tail: readonly string[]
}

export interface SiegeOptions {
  /** Without: no budgets of sockets, addresses and identities. */
  readonly hasBudgets?: boolean
  /** Where the server writes a CPU profile of the whole siege when it ends. */
  readonly profileDirectory?: string | undefined
}

/** A server of its own, with the default limits or without budgets. */
export async function openSiege(
  scope: Scope,
  { hasBudgets = true, profileDirectory }: SiegeOptions = {}
): Promise<Siege> {
  // Without a disk: how long that takes is not the attackers' doing.
  const postgres = await startPostgres(scope, { settings: { fsync: 'off' } })
  const dataDir = await temporaryDirectory(scope)
  const env = {
    ...{ DATABASE_URL: postgres.url(), DATA_DIR: dataDir, LOG_LEVEL: 'info' },
    ...{ RPC_SIGNALING_PORT: '0', L2PS_MESSAGING_PORT: '0' },
    ...(hasBudgets ? {} : { WORK_PER_SOCKET: '0', WORK_PER_ADDRESS: '0', WORK_PER_IDENTITY: '0' })
  }
  const nodeOptions = profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`]
  await defineNetwork(dataDir)
  const server = serverProcess(scope, { env, cwd: dataDir, steppedClock: false, nodeOptions })
  await server.start()
  if (profileDirectory !== undefined) atEnd(scope, () => server.stop())
  const url = server.url!
  const owner = await quickIdentity()
  const pairs: Talk[] = []
  for (let n = 0; n < SIGNALING_PAIRS; n++) pairs.push(...(await signalingTalks(scope, url, n)))
  pairs.push(...(await l2psTalks(scope, url)))
  await register(scope, url, OWNED_NAME, owner)
  let rounds = 0
  return {
    problems: server.problems,
    tail: server.tail,
    run: async (attack, ms) => {
      rounds += 1
      const before = await server.memory()
      let peak = before
      const attacker = attack === undefined ? undefined : await startAttacker(scope, url, attack)
      const end = performance.now() + ms
      const until = async (every: number, work: () => Promise<unknown>) => {
        while (performance.now() < end) {
          await work()
          await delay(every)
        }
      }
      const [registrations, owners, scrapes, lags]: [number[], number[], number[], number[]] = [[], [], [], []]
      const talks = pairs.map((talk) => talk(end, PATIENCE_MS))
      await Promise.all([
        ...talks,
        until(PROBE_EVERY_MS, async () => {
          registrations.push(await register(scope, url, `new-${rounds}-${registrations.length}`))
          owners.push(await register(scope, url, OWNED_NAME, owner))
        }),
        until(PROBE_EVERY_MS, async () => void registrations.push(await registerL2ps(scope, url))),
        until(PROBE_EVERY_MS, async () => {
          const { took, lag } = await scrape(url)
          scrapes.push(took)
          lags.push(lag)
          peak = Math.max(peak, await server.memory())
        })
      ])
      const ends = await (attacker === undefined ? 'none' : stop(attacker))
      const heard = await Promise.all(talks)
      const times = heard.flatMap(({ times }) => times).sort((a, b) => a - b)
      const at = (share: number) => Math.round(times[Math.floor(times.length * share)] ?? Number.NaN)
      const sum = (of: 'sent' | 'refused' | 'lost') => heard.reduce((total, each) => total + each[of], 0)
      return {
        ...{ attack: attack ?? 'nobody', p50: at(0.5), p99: at(0.99), ends },
        ...{ sent: sum('sent'), refused: sum('refused'), lost: sum('lost') },
        registration: Math.round(Math.max(...registrations)),
        owner: Math.round(Math.max(...owners)),
        returned: owners.filter((ms) => ms < PATIENCE_MS).length,
        scrape: Math.round(Math.max(...scrapes)),
        lag: Math.round(lags.at(-1) ?? Number.NaN),
        megabytes: Math.round((peak - before) / 1e6)
      }
    }
  }
}

/** How long a registration took, the connection included; the time that was waited when it did not come about. */
const register = (scope: Scope, url: string, name: string, identity?: Peer['identity']): Promise<number> =>
  timed(scope, openPeer, url, (peer) => peer.register(name, identity))

const registerL2ps = (scope: Scope, url: string): Promise<number> =>
  timed(scope, openL2psPeer, `${url}/l2ps`, (peer) => peer.register(SIEGE_NETWORK))

/** The peer leaves in any case: one that got in late would keep the name from its next self. */
async function timed<P extends Line>(
  scope: Scope,
  open: (scope: Scope, url: string) => Promise<P>,
  url: string,
  register: (peer: P) => Promise<unknown>
): Promise<number> {
  const began = performance.now()
  let peer: P | undefined
  try {
    peer = await open(scope, url)
    await register(peer)
    const took = performance.now() - began
    await peer.close()
    return took
  } catch {
    return Math.max(PATIENCE_MS, performance.now() - began)
  } finally {
    peer?.terminate()
  }
}

async function scrape(url: string): Promise<{ took: number; lag: number }> {
  const began = performance.now()
  const answer = await fetch(`${url.replace(/^ws/, 'http')}/metrics`).catch(() => undefined)
  const text = (await answer?.text()) ?? ''
  const lag = /^demos_relay_event_loop_lag_p99_seconds (\S+)$/m.exec(text)?.[1]
  return { took: answer?.ok ? performance.now() - began : PATIENCE_MS, lag: Number(lag) * 1_000 }
}

async function defineNetwork(dataDir: string): Promise<void> {
  const directory = join(dataDir, 'l2ps', SIEGE_NETWORK)
  await mkdir(directory, { recursive: true })
  await writeFile(
    join(directory, 'config.json'),
    JSON.stringify({ uid: SIEGE_NETWORK, enabled: true, auto_start: true })
  )
}

/** Resolves when the attackers have loaded and begin. */
async function startAttacker(scope: Scope, url: string, attack: string): Promise<ChildProcess> {
  const child = fork(ownFile('test/siege/attacker.ts'), [url, attack], { execArgv: [...OWN_OPTIONS] })
  atEnd(scope, () => child.kill('SIGKILL'))
  // On a machine of their own they would take no processor time from the server.
  setPriority(child.pid!, constants.priority.PRIORITY_BELOW_NORMAL)
  await once(child, 'message')
  return child
}

async function stop(child: ChildProcess): Promise<string> {
  const seen = await within<{ closed: Record<string, number>; told: number } | undefined>(
    PATIENCE_MS,
    'the attackers say what became of them',
    (resolve) => {
      child.once('message', (message) => resolve(message as never))
      child.send('report')
    }
  ).catch(() => undefined)
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
  const ends = Object.entries(seen?.closed ?? {}).map(([end, times]) => `${end}: ${times}`)
  return [...ends, ...(seen?.told ? [`told: ${seen.told}`] : [])].join(', ') || 'slowed'
}

const COLUMNS = [
  'p50',
  'p99',
  'refused',
  'lost',
  'registration',
  'owner',
  'scrape',
  'lag',
  'megabytes',
  'ends'
] as const

/** The rows as a table of Markdown. */
export function siegeTable(rows: readonly SiegeRow[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  return [
    line(['attack', ...COLUMNS]),
    line(['---', ...COLUMNS.map(() => '---')]),
    ...rows.map((row) => line([row.attack, ...COLUMNS.map((column) => row[column])]))
  ].join('\n')
}
