// Messages that are stored and released for a long time: does what they leave behind stay bounded?
import { setTimeout as delay } from 'node:timers/promises'
import type postgres from 'postgres'
import type { Bench } from '../bench.ts'
import type { Contender } from '../contender.ts'
import { isFlawless, nothingYet } from '../load/verification.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { offlineRun } from '../scenarios/offline.ts'
import { relayRun } from '../scenarios/relay.ts'
import { HOT, sizesOf, type TableSize } from './sizes.ts'

/** Stored for each of the peers that are away, in each round. */
const EACH = 200
const SAMPLES = 12
/** Longest until what was received at the end is deleted, in ms. */
const RELEASED_MS = 60_000

export interface Sample {
  readonly minute: number
  readonly messages: number
  readonly tables: readonly TableSize[]
}

/** Rounds of relayed and of stored messages, in both protocols, for so long; about every twelfth of it the sizes are read. */
export async function churn(
  bench: Bench,
  contender: Contender,
  sql: postgres.Sql,
  protocols: readonly Protocol[],
  minutes: number
): Promise<Sample[]> {
  const began = performance.now()
  const minute = () => (performance.now() - began) / 60_000
  const samples: Sample[] = [{ minute: 0, messages: 0, tables: await sizesOf(sql, HOT) }]
  let messages = 0
  while (minute() < minutes) {
    for (const protocol of protocols) {
      const relayed = await relayRun(bench, contender, protocol, { pairs: 50 })
      const { drain } = await offlineRun(bench, contender, protocol, EACH)
      for (const { verification = nothingYet() } of [relayed, drain]) {
        const inTime = { ...verification, leftBehind: 0 } // releases of a busy machine may come later
        if (!isFlawless(inTime)) throw new Error(`messages went wrong: ${JSON.stringify(verification)}`)
        messages += verification.received
      }
    }
    if (minute() < (samples.length * minutes) / SAMPLES) continue
    samples.push({ minute: minute(), messages, tables: await sizesOf(sql, HOT) })
    bench.say(`churn: ${messages} messages in ${minute().toFixed(1)} minutes`)
  }
  await everythingReleased(contender)
  samples.push({ minute: minute(), messages, tables: await sizesOf(sql, HOT) })
  return samples
}

/** What was received is deleted, sooner or later. */
async function everythingReleased(contender: Contender): Promise<void> {
  const deadline = performance.now() + RELEASED_MS
  for (let left = await contender.settle(); left > 0; left = await contender.settle()) {
    if (performance.now() > deadline) throw new Error(`${left} messages that were received are not deleted`)
    await delay(1_000)
  }
}
