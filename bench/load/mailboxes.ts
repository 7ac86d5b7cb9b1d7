import { setTimeout as delay } from 'node:timers/promises'
import { mark } from '../parent.ts'
import type { Flow } from './flow.ts'
import { total, type Verification } from './verification.ts'

const DEADLINE_MS = 60_000

export interface StoreReport {
  readonly messages: number
  readonly seconds: number
  readonly refused: number
}

/** Sends `each` messages in every flow, a window at a time, until all are confirmed. */
export async function sendAll(flows: readonly Flow[], each: number, window: number): Promise<void> {
  const pump = (flow: Flow) => {
    while (flow.result.sent < each && flow.result.sent - flow.confirmed < window) flow.send()
  }
  for (const flow of flows) {
    flow.onProgress = pump
    pump(flow)
  }
  await until(() => flows.every((flow) => flow.confirmed + flow.result.refused >= each))
}

/** Sends them to recipients that are away. */
export async function fillMailboxes(flows: readonly Flow[], each: number, window: number): Promise<StoreReport> {
  mark('begin')
  const began = performance.now()
  await sendAll(flows, each, window)
  mark('end')
  const messages = flows.reduce((sum, flow) => sum + flow.confirmed, 0)
  const refused = flows.reduce((sum, flow) => sum + flow.result.refused, 0)
  return { messages, seconds: (performance.now() - began) / 1_000, refused }
}

export interface DrainReport {
  readonly messages: number
  readonly seconds: number
  readonly verification: Verification
}

/** Lets the recipients come (`arrive`) and waits until each has everything that was stored for it. */
export async function emptyMailboxes(flows: readonly Flow[], arrive: () => Promise<void>): Promise<DrainReport> {
  mark('begin')
  const began = performance.now()
  await arrive()
  await until(() => flows.every((flow) => flow.onTheirWay <= 0))
  const seconds = (performance.now() - began) / 1_000
  mark('end')
  await delay(100) // a second copy would come now
  const verification = total(flows.map((flow) => flow.finish(true)))
  return { messages: verification.received, seconds, verification }
}

/** Checks every 5 ms: what is measured here takes hundreds. */
async function until(isDone: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS
  while (!isDone() && performance.now() < deadline) await delay(5)
}
