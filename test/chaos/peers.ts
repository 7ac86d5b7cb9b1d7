import { until } from '../helpers/wait.ts'
import { addressOf, dialectOf, type PeerSpec } from './dialects.ts'
import type { PeerEvent } from './history.ts'
import { ChaosPeer } from './peer.ts'
import { seededRandom } from './random.ts'

/** Peers that live in one process: this one, or one that can be stopped where it stands. */
export interface PeerGroup {
  /** Waits until all are registered. */
  registered(): Promise<void>
  /** Nothing new is sent; resolves when everything sent has an answer. */
  settle(): Promise<void>
  /** All close their connections with a handshake, and register again. */
  reconnect(): Promise<void>
  /** Makes a peer restless, or calm again. */
  disturb(name: string, isRestless: boolean): Promise<void>
  end(): Promise<void>
}

export interface GroupPlan {
  readonly url: string
  readonly seed: number
  readonly peers: readonly PeerSpec[]
  /** All peers of the run, wherever they live: they write to each other. */
  readonly everyone: readonly PeerSpec[]
}

export async function startPeers(plan: GroupPlan, emit: (event: PeerEvent) => void): Promise<PeerGroup> {
  const addresses = await Promise.all(plan.everyone.map(async (spec) => ({ spec, address: await addressOf(spec) })))
  const peers = new Map<string, ChaosPeer>()
  for (const [index, spec] of plan.peers.entries()) {
    const others = addresses
      .filter((other) => other.spec.protocol === spec.protocol && other.spec.name !== spec.name)
      .map(({ address }) => address)
    const random = seededRandom(plan.seed + index)
    peers.set(spec.name, new ChaosPeer({ url: plan.url, spec, dialect: await dialectOf(spec), others, random, emit }))
  }
  const all = [...peers.values()]
  const registered = () => until('every peer is registered', () => all.every((peer) => peer.isRegistered))
  return {
    registered,
    settle: () => {
      for (const peer of all) peer.stopSending()
      return until('every message is answered', () => all.every((peer) => peer.isSettled))
    },
    reconnect: async () => {
      await Promise.all(all.map((peer) => peer.leave()))
      await registered()
    },
    disturb: async (name, isRestless) => {
      const peer = peers.get(name)
      if (peer !== undefined) peer.restless = isRestless
    },
    end: async () => void (await Promise.all(all.map((peer) => peer.end())))
  }
}
