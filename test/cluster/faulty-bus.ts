import type { Bus } from '../../src/cluster/bus.ts'

/** What a bus may do to hand-overs, one after the other: it may lose, repeat and reorder them. */
export interface BusFaults {
  /** Share of the hand-overs that are lost, 0 to 1. */
  lost: number
  repeated: number
  /** Held back until the next one has passed. */
  reordered: number
}

/** A bus that does that to hand-overs; beats, presence and questions pass. Faults may be changed at any time. */
export function faultyBus(faults: BusFaults, random: () => number): (bus: Bus) => Bus {
  return (bus) => {
    let held: (() => void) | undefined
    const publish = (relay: string, message: Buffer) => {
      if (random() < faults.lost) return
      const send = () => bus.publish(relay, message)
      if (held === undefined && random() < faults.reordered) {
        held = send
        return
      }
      send()
      held?.()
      held = undefined
      if (random() < faults.repeated) send()
    }
    return new Proxy(bus, {
      get: (target, key) => {
        if (key === 'publish') return publish
        const value = Reflect.get(target, key, target) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }
}
