import { setTimeout as delay } from 'node:timers/promises'
import type { Bench, Row } from '../bench.ts'
import type { Contender } from '../contender.ts'
import type { DrainReport } from '../load/mailboxes.ts'
import type { Protocol } from '../protocols/protocol.ts'
import { onFresh, peakRow } from './peak.ts'
import { WINDOW } from './relay.ts'
import type { Scenario } from './scenario.ts'

/** Recipients among which the releases are. */
const DRAINED = 100
/** Sent to each slow reader: more than its window holds (1 MiB), 100 MB a second to all of them at most. */
const STALLED = { bodyBytes: 10_000, each: 125, pauseMs: 100 }
/** Until what was there at the end of the work is in the peak. */
const AFTERMATH_MS = 1_000

/** The most memory the relay uses at once, while much waits, one run of each. */
export const memory: Scenario = {
  protocols: ['signaling'],
  run: async (bench, protocol): Promise<Row[]> => [await releases(bench, protocol), await slowReaders(bench, protocol)]
}

/** Everything was received, and nothing can be deleted. */
async function releases(bench: Bench, protocol: Protocol): Promise<Row> {
  const messages = bench.options.quick ? 2_000 : 100_000
  const run = await onFresh(bench, 'server', async (contender) => {
    const target = bench.target(contender, protocol)
    const each = messages / DRAINED
    const request = { ...target, pairs: DRAINED, bodyBytes: bench.options.bodyBytes, each, window: WINDOW }
    await bench.worker.call('store', request, 120_000)
    await contender.settle()
    contender.peakRss()
    const { waiting, report } = await contender.withMailboxesLocked(async () => {
      const drained = await bench.worker.call<DrainReport>('drain', target, 120_000)
      await delay(AFTERMATH_MS)
      return { waiting: drained.messages, report: drained }
    })
    const peak = contender.peakRss()
    const leftBehind = await emptied(contender)
    return { peak, verification: { ...report.verification, leftBehind }, facts: { ReleasesThatWaited: waiting } }
  })
  return peakRow('memory', protocol, `${messages} releases wait`, [run])
}

/** Waits until the releases that waited are written. */
async function emptied(contender: Contender): Promise<number> {
  let left = await contender.settle()
  for (let tries = 0; left > 0 && tries < 20; tries++) {
    await delay(500)
    left = await contender.settle()
  }
  return left
}

/** Recipients that stopped to read, with more for each than its window holds. */
async function slowReaders(bench: Bench, protocol: Protocol): Promise<Row> {
  const readers = bench.options.quick ? 20 : 1_000
  const run = await onFresh(bench, 'server', async (contender) => {
    const crowd = bench.newWorker()
    try {
      contender.peakRss()
      await crowd.call('stall', { ...bench.target(contender, protocol), pairs: readers, ...STALLED }, 240_000)
      await delay(AFTERMATH_MS)
      return { peak: contender.peakRss(), facts: {} }
    } finally {
      await crowd.stop()
    }
  })
  return peakRow('memory', protocol, `${readers} slow readers`, [run])
}
