import { setTimeout as delay } from 'node:timers/promises'
import type { PeerSpec } from './dialects.ts'
import type { Fault } from './history.ts'
import type { PeerGroup } from './peers.ts'
import type { Random } from './random.ts'
import type { Stage } from './stage.ts'

/** What a nemesis works on. */
export interface World {
  readonly stage: Stage
  readonly random: Random
  readonly peers: readonly PeerSpec[]
  readonly groups: readonly PeerGroup[]
  /** How long a database stands still, in ms. */
  readonly freezeMs: number
  /** Does harm, and notes from when to when. */
  harm(name: string, work: () => Promise<void>, effects?: Partial<Effects>): Promise<void>
}

type Effects = Pick<Fault, 'stopsCommits' | 'undoesReceipts'>

/** One fault, from its beginning until everything it broke works again. */
export type Nemesis = (world: World) => Promise<void>

/** Long enough that a pong is overdue, in ms: the server waits two seconds for one. */
const OVERDUE_MS = 3_500

export const NEMESES = {
  'server-kill': ({ stage, random, harm }) =>
    harm('server-kill', async () => {
      await stage.killServer()
      await delay(random.between(0, 400))
      await stage.startServer()
    }),

  'postgres-kill': ({ stage, random, harm }) =>
    harm('postgres-kill', async () => {
      await stage.cluster.kill()
      await delay(random.between(0, 1_500))
      await stage.cluster.revive()
      await stage.healed()
    }),

  'postgres-freeze': ({ stage, freezeMs, harm }) =>
    harm('postgres-freeze', async () => {
      stage.cluster.freeze()
      try {
        // The window in which nothing can be committed ends before the thaw.
        await harm('postgres-stands-still', () => delay(freezeMs), { stopsCommits: true })
      } finally {
        stage.cluster.thaw()
      }
      await stage.healed()
    }),

  'cut-without-fin': ({ stage, random, harm }) =>
    harm('cut-without-fin', async () => {
      for (const link of random.some(stage.proxy.links(), 0.4)) link.cut()
      await delay(OVERDUE_MS)
    }),

  'half-open-client': ({ stage, harm }) =>
    harm('half-open-client', async () => {
      stage.peerProcess.freeze()
      try {
        await delay(OVERDUE_MS)
      } finally {
        stage.peerProcess.thaw()
      }
    }),

  'reset-mid-frame': ({ stage, random, harm }) =>
    harm('reset-mid-frame', async () => {
      for (const link of random.some(stage.proxy.links(), 0.4)) link.resetMidFrame()
      await delay(random.between(300, 800))
    }),

  trickle: ({ stage, random, harm }) =>
    harm('trickle', async () => {
      for (const link of random.some(stage.proxy.links(), 0.3)) link.trickle()
      await delay(OVERDUE_MS)
    }),

  'reconnect-loop': ({ peers, groups, random, harm }) => {
    const loop = async () => {
      const restless = random.some(peers, 0.3)
      const disturb = (isRestless: boolean) =>
        Promise.all(restless.flatMap(({ name }) => groups.map((group) => group.disturb(name, isRestless))))
      await disturb(true)
      await delay(2_500)
      await disturb(false)
    }
    return harm('reconnect-loop', loop, { undoesReceipts: false }) // each peer notes when it leaves
  },

  'disk-full': ({ stage, random, harm }) =>
    harm('disk-full', async () => {
      if (stage.disk === undefined) throw new Error('disk-full needs a stage with a small disk')
      await stage.disk.fill()
      try {
        await delay(random.between(1_500, 3_000))
      } finally {
        await stage.disk.empty()
      }
      await stage.cluster.revive() // it gives up when it cannot even write its own log
      await stage.healed()
    }),

  'clock-back': ({ stage, random, harm }) => {
    const step = async () => {
      if (!stage.hasSteppedClock) throw new Error('clock-back needs a stage with a stepped clock')
      stage.server.setClock(-1_000 * random.between(10, 240)) // within the window of register proofs
      await delay(random.between(1_000, 2_000))
    }
    return harm('clock-back', step, { undoesReceipts: false })
  }
} as const satisfies Record<string, Nemesis>

export type NemesisName = keyof typeof NEMESES
export const NEMESIS_NAMES = Object.keys(NEMESES) as NemesisName[]
/** All that can happen on one stage whose clock can be stepped. */
export const MIXED = NEMESIS_NAMES.filter((name) => name !== 'disk-full')

/** Notes faults as they begin and end. */
export function faultLog() {
  const faults: Fault[] = []
  const harm: World['harm'] = async (name, work, effects = {}) => {
    const from = Date.now()
    try {
      await work()
    } finally {
      faults.push({ name, from, to: Date.now(), stopsCommits: false, undoesReceipts: true, ...effects })
    }
  }
  return { faults, harm }
}
