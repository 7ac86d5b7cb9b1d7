import type { Database } from '../database/database.ts'
import { deadRelays, forgetLost, freePlaces, type PeerName } from '../store/session-place.ts'
import { sweepReceipts } from '../store/session-receipt.ts'

/** How long what a lost session owed a receipt of is kept for its return, in ms: as in one relay (held-back.ts). */
const RETURN_MS = 600_000
/** Places freed in one transaction, and transactions in one round. */
const PLACES = 1_000
const MOST_STEPS = 20
const SWEPT_RECEIPTS = 1_000

/**
 * What one relay does for all, once a second: frees the places of relays that died, and now and then sweeps what is left
 * over. Returns the peers that did not come back and are away now. Two relays that do it at the same time disturb nobody.
 */
export async function keepHouse(database: Database, isSweepDue: boolean): Promise<PeerName[]> {
  const { sql } = database
  const away: PeerName[] = []
  let steps = 0
  for (const relay of await database.within(deadRelays(sql))) {
    for (let freed = PLACES; freed === PLACES && steps < MOST_STEPS; steps++) {
      const step = await database.within(freePlaces(sql, relay, PLACES))
      freed = step.freed
      away.push(...step.away)
    }
  }
  if (isSweepDue) {
    await database.within(forgetLost(sql, RETURN_MS))
    await database.within(sweepReceipts(sql, SWEPT_RECEIPTS))
  }
  return away
}
