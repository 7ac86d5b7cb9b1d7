import { setTimeout as delay } from 'node:timers/promises'
import type { Fault } from './history.ts'
import type { Random } from './random.ts'
import type { RelayStage, Seat } from './relay-stage.ts'
import type { Direction, Wire } from './wire.ts'

export interface RelayWorld {
  readonly stage: RelayStage
  readonly random: Random
  harm(name: string, work: () => Promise<void>, effects?: Partial<Pick<Fault, 'undoesReceipts'>>): Promise<void>
}

/** One fault of a cluster, from its beginning until everything it broke works again. */
export type RelayNemesis = (world: RelayWorld) => Promise<void>

/** Longer than a lease, so that a relay counts as dead, in ms; and longer than that and the dismissal of its peers. */
const LAPSED_MS = 7_000
const DISMISSED_MS = 17_000
/** Shorter than a lease: nobody is given up, in ms. */
const SHORT_MS = 2_500

const seatOf = ({ stage, random }: RelayWorld): Seat => random.pick(stage.seats)

function cutting(
  name: string,
  wiresOf: (seat: Seat) => readonly (Wire | undefined)[],
  ms: number,
  direction?: Direction
) {
  return (world: RelayWorld) =>
    world.harm(name, async () => {
      const wires = wiresOf(seatOf(world))
      for (const wire of wires) await wire?.cut(direction)
      await delay(ms)
      for (const wire of wires) await wire?.heal()
      await world.stage.healed()
    })
}

/** Every relay's hand-overs, for a while. */
function handOvers(name: string, faults: { lost: number; repeated: number; reordered: number }): RelayNemesis {
  const set = ({ stage }: RelayWorld, each: typeof faults) => {
    for (const { server } of stage.seats) server.setFaults(each)
  }
  return (world) =>
    world.harm(
      name,
      async () => {
        set(world, faults)
        await delay(4_000)
        set(world, { lost: 0, repeated: 0, reordered: 0 })
      },
      { undoesReceipts: false }
    )
}

export const RELAY_NEMESES = {
  'relay-kill': (world) =>
    world.harm('relay-kill', async () => {
      const seat = seatOf(world)
      await world.stage.killRelay(seat)
      await delay(world.random.between(0, 1_500))
      await world.stage.startRelay(seat)
    }),

  'relay-freeze': (world) =>
    world.harm('relay-freeze', async () => {
      const { server } = seatOf(world)
      server.freeze()
      await delay(world.random.pick([SHORT_MS, LAPSED_MS]))
      server.thaw()
      await world.stage.healed()
    }),

  'relay-restart': (world) =>
    world.harm('relay-restart', async () => {
      const seat = seatOf(world)
      await world.stage.stopRelay(seat)
      await world.stage.startRelay(seat)
    }),

  'rolling-restart': ({ stage, harm }) =>
    harm('rolling-restart', async () => {
      for (const seat of stage.seats) {
        await stage.stopRelay(seat)
        await stage.startRelay(seat)
        await stage.healed()
      }
    }),

  'rolling-upgrade': ({ stage, harm }) =>
    harm('rolling-upgrade', async () => {
      const build = await stage.nextBuild()
      for (const seat of stage.seats) {
        await stage.stopRelay(seat)
        seat.server.setBuild(build)
        await stage.startRelay(seat)
        await stage.healed()
      }
    }),

  'postgres-kill': ({ stage, random, harm }) =>
    harm('postgres-kill', async () => {
      await stage.cluster.kill()
      await delay(random.between(0, 1_500))
      await stage.cluster.revive()
      await stage.healed()
    }),

  'postgres-freeze': ({ stage, harm }) =>
    harm('postgres-freeze', async () => {
      stage.cluster.freeze()
      await delay(LAPSED_MS)
      stage.cluster.thaw()
      await stage.healed()
    }),

  'bus-kill': ({ stage, harm }) =>
    harm('bus-kill', async () => {
      await stage.nats?.kill()
      await delay(3_000)
      await stage.nats?.start()
    }),

  'bus-freeze': ({ stage, harm }) =>
    harm('bus-freeze', async () => {
      stage.nats?.freeze()
      await delay(5_000)
      stage.nats?.thaw()
    }),

  'cut-from-bus': cutting('cut-from-bus', ({ bus }) => [bus], 5_000),
  'cut-from-database': cutting('cut-from-database', ({ database }) => [database], LAPSED_MS),
  'cut-from-database-for-long': cutting('cut-from-database-for-long', ({ database }) => [database], DISMISSED_MS),
  'cut-from-both': cutting('cut-from-both', ({ database, bus }) => [database, bus], LAPSED_MS),
  'deaf-to-bus': cutting('deaf-to-bus', ({ bus }) => [bus], 5_000, 'from'),
  'mute-to-bus': cutting('mute-to-bus', ({ bus }) => [bus], 5_000, 'to'),
  'deaf-to-database': cutting('deaf-to-database', ({ database }) => [database], LAPSED_MS, 'from'),
  'mute-to-database': cutting('mute-to-database', ({ database }) => [database], LAPSED_MS, 'to'),

  'lose-a-third': handOvers('lose-a-third', { lost: 0.3, repeated: 0, reordered: 0 }),
  'lose-all': handOvers('lose-all', { lost: 1, repeated: 0, reordered: 0 }),
  'repeat-and-reorder': handOvers('repeat-and-reorder', { lost: 0, repeated: 0.3, reordered: 0.3 })
} as const satisfies Record<string, RelayNemesis>

export type RelayNemesisName = keyof typeof RELAY_NEMESES
/** Planned by an operator: nothing is refused meanwhile. */
export const ROLLING: readonly RelayNemesisName[] = ['rolling-restart', 'rolling-upgrade']
export const RELAY_NEMESIS_NAMES = (Object.keys(RELAY_NEMESES) as RelayNemesisName[]).filter(
  (name) => !ROLLING.includes(name)
)
/** What happens to the networks between relays and what they stand on. */
export const PARTITIONS: readonly RelayNemesisName[] = RELAY_NEMESIS_NAMES.filter((name) =>
  /^(cut|deaf|mute)-/.test(name)
)
/** Those that need a bus beside Postgres. */
export const BUS_NEMESES: readonly RelayNemesisName[] = RELAY_NEMESIS_NAMES.filter((name) => name.includes('bus'))
