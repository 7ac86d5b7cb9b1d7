import type { Database } from '../database/database.ts'
import { deadRelays, forgetLeft, freePlaces, type PeerName } from '../store/session-place.ts'
import { sweepReceipts } from '../store/session-receipt.ts'

/** How long what a lost session owed a receipt of is kept for its return, in ms: as in one relay (held-back.ts). */
const RETURN_MS = 600_000
/** How long it is known that a peer was at another relay, in ms. */
const MOVED_MS = 10_000
/** Places freed in one transaction, and transactions in one round. */
const PLACES = 1_000
const MOST_STEPS = 20
const SWEPT_RECEIPTS = 1_000

/**
 * What one relay does for all, once a second: frees the places of relays that died, and now and then sweeps what is left
 * over. `before`: the relays that were dead in the last round. Returns the peers that did not come back and are away now. Two relays that do it at the same time disturb nobody.
 */
export async function keepHouse(database: Database, before: Set<string>, isSweepDue: boolean): Promise<PeerName[]> {
  const { sql } = database
  const away: PeerName[] = []
  let steps = 0
  const dead = await database.within(deadRelays(sql))
  // One that has just taken its lease again enters its peers in this moment.
  const longDead = dead.filter((relay) => before.has(relay))
  before.clear()
  for (const relay of dead) before.add(relay)
  for (const relay of longDead) {
    for (let freed = PLACES; freed === PLACES && steps < MOST_STEPS; steps++) {
      const step = await database.within(freePlaces(sql, relay, PLACES))
      freed = step.freed
      away.push(...step.away)
    }
  }
  await database.within(forgetLeft(sql, MOVED_MS, RETURN_MS))
  if (isSweepDue) {
    await database.within(sweepReceipts(sql, SWEPT_RECEIPTS))
  }
  return away
}
