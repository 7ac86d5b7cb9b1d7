import { setTimeout as delay } from 'node:timers/promises'
import { mark } from '../parent.ts'
import type { Flow } from './flow.ts'
import { total, type Verification } from './verification.ts'

export interface LoopOptions {
  /** Messages of a flow that may be on their way. */
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

/** Keeps a window of messages on their way in every flow, counts what arrives, then waits for the last of them. */
export async function closedLoop(flows: readonly Flow[], options: LoopOptions): Promise<LoopReport> {
  let isRunning = true
  const pump = (flow: Flow) => {
    while (isRunning && underWay(flow, options.confirmed) < options.window) flow.send()
  }
  for (const flow of flows) {
    flow.onProgress = pump
    pump(flow)
  }
  await delay(options.warmUpMs)
  const began = { at: performance.now(), messages: arrived(flows) }
  mark('begin')
  await delay(options.measureMs)
  mark('end')
  const seconds = (performance.now() - began.at) / 1_000
  const messages = arrived(flows) - began.messages
  isRunning = false
  return { messages, seconds, verification: await settled(flows, options.confirmed) }
}

/** Waits until every message has arrived (and was confirmed), and a moment longer for what should not come. */
export async function settled(flows: readonly Flow[], confirmed: boolean): Promise<Verification> {
  const deadline = performance.now() + DRAIN_MS
  while (flows.some((flow) => underWay(flow, confirmed) > 0) && performance.now() < deadline) await delay(10)
  await delay(AFTERMATH_MS)
  return total(flows.map((flow) => flow.finish(confirmed)))
}

function underWay(flow: Flow, confirmed: boolean): number {
  return confirmed ? Math.max(flow.onTheirWay, flow.result.sent - flow.confirmed) : flow.onTheirWay
}

const arrived = (flows: readonly Flow[]) => flows.reduce((sum, flow) => sum + flow.result.received, 0)
