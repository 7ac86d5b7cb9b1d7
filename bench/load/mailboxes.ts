import { setTimeout as delay } from 'node:timers/promises'
import { mark } from '../parent.ts'
import type { Lane } from './lane.ts'
import { total, type Verification } from './verification.ts'

const DEADLINE_MS = 60_000

export interface StoreReport {
  readonly messages: number
  readonly seconds: number
  readonly refused: number
}

/** Sends `each` messages in every lane, a window at a time, until all are confirmed. */
export async function sendAll(lanes: readonly Lane[], each: number, window: number): Promise<void> {
  const pump = (lane: Lane) => {
    while (lane.result.sent < each && lane.result.sent - lane.confirmed < window) lane.send()
  }
  for (const lane of lanes) {
    lane.onProgress = pump
    pump(lane)
  }
  await until(() => lanes.every((lane) => lane.confirmed + lane.result.refused >= each))
}

/** Sends them to recipients that are away. */
export async function fillMailboxes(lanes: readonly Lane[], each: number, window: number): Promise<StoreReport> {
  mark('begin')
  const began = performance.now()
  await sendAll(lanes, each, window)
  mark('end')
  const messages = lanes.reduce((sum, lane) => sum + lane.confirmed, 0)
  const refused = lanes.reduce((sum, lane) => sum + lane.result.refused, 0)
  return { messages, seconds: (performance.now() - began) / 1_000, refused }
}

export interface DrainReport {
  readonly messages: number
  readonly seconds: number
  readonly verification: Verification
}

/** Lets the recipients come (`arrive`) and waits until each has everything that was stored for it. */
export async function emptyMailboxes(lanes: readonly Lane[], arrive: () => Promise<void>): Promise<DrainReport> {
  mark('begin')
  const began = performance.now()
  await arrive()
  await until(() => lanes.every((lane) => lane.onTheirWay <= 0))
  const seconds = (performance.now() - began) / 1_000
  mark('end')
  await delay(100) // a second copy would come now
  const verification = total(lanes.map((lane) => lane.finish(true)))
  return { messages: verification.received, seconds, verification }
}

/** Looks every 5 ms: what is measured here takes hundreds. */
async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!isDone() && performance.now() < deadline) await delay(5)
}
