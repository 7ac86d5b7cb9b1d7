import { setTimeout as delay } from 'node:timers/promises'
import { mark } from '../parent.ts'
import type { Lane } from './lane.ts'
import { total, type Verification } from './verification.ts'

export interface LoopOptions {
  /** Messages of a lane that may be on their way. */
  readonly window: number
  readonly warmUpMs: number
  readonly measureMs: number
  readonly confirmed: boolean
}

export interface LoopReport {
  readonly messages: number
  readonly seconds: number
  readonly verification: Verification
}

/** Longest the last messages may take. */
const DRAIN_MS = 15_000
/** A second copy of something would come within this time, in ms. */
const AFTERMATH_MS = 100

/** Keeps a window of messages on their way in every lane, counts what arrives, then waits for the last of them. */
export async function closedLoop(lanes: readonly Lane[], options: LoopOptions): Promise<LoopReport> {
  let isRunning = true
  const pump = (lane: Lane) => {
    while (isRunning && underWay(lane, options.confirmed) < options.window) lane.send()
  }
  for (const lane of lanes) {
    lane.onProgress = pump
    pump(lane)
  }
  await delay(options.warmUpMs)
  const began = { at: performance.now(), messages: arrived(lanes) }
  mark('begin')
  await delay(options.measureMs)
  mark('end')
  const seconds = (performance.now() - began.at) / 1_000
  const messages = arrived(lanes) - began.messages
  isRunning = false
  return { messages, seconds, verification: await settled(lanes, options.confirmed) }
}

/** Waits until every message has arrived (and was confirmed), and a moment longer for what should not come. */
export async function settled(lanes: readonly Lane[], confirmed: boolean): Promise<Verification> {
  const deadline = performance.now() + DRAIN_MS
  while (lanes.some((lane) => underWay(lane, confirmed) > 0) && performance.now() < deadline) await delay(10)
  await delay(AFTERMATH_MS)
  return total(lanes.map((lane) => lane.finish(confirmed)))
}

function underWay(lane: Lane, confirmed: boolean): number {
  return confirmed ? Math.max(lane.onTheirWay, lane.result.sent - lane.confirmed) : lane.onTheirWay
}

const arrived = (lanes: readonly Lane[]) => lanes.reduce((sum, lane) => sum + lane.result.received, 0)
