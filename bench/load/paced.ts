import { setTimeout as delay } from 'node:timers/promises'
import { mark } from '../parent.ts'
import { type Quantiles, quantiles } from '../statistics.ts'
import { settled } from './closed-loop.ts'
import type { Flow } from './flow.ts'
import type { Verification } from './verification.ts'

export interface PacedOptions {
  /** Messages a second over all flows. */
  readonly rate: number
  readonly warmUpMs: number
  readonly measureMs: number
  readonly confirmed: boolean
}

export interface PacedReport {
  readonly messages: number
  readonly seconds: number
  /** From the call that sent a message to its arrival, in ms. */
  readonly latencyMs: Quantiles
  /** How much later than planned messages were sent, in ms: the load generator's own trouble. */
  readonly latenessMs: Quantiles
  readonly verification: Verification
}

/** Sends `each` messages in every flow, one of each and then a pause: not faster than a server stores them. */
export async function sendSteadily(flows: readonly Flow[], each: number, pauseMs: number): Promise<void> {
  for (let sent = 0; sent < each; sent++) {
    for (const flow of flows) flow.send()
    await delay(pauseMs)
  }
}

/** Sends at a steady rate, whatever comes back, one message of each flow after the other. */
export async function paced(flows: readonly Flow[], options: PacedOptions): Promise<PacedReport> {
  const { rate, warmUpMs, measureMs } = options
  const count = Math.ceil((rate * (warmUpMs + measureMs)) / 1_000)
  const first = Math.ceil((rate * warmUpMs) / 1_000)
  const sentAt = new Float64Array(count)
  const arrivedAt = new Float64Array(count)
  for (const [index, flow] of flows.entries()) {
    flow.onArrival = (number) => {
      arrivedAt[number * flows.length + index] = performance.now()
    }
  }
  const start = performance.now()
  const due = (index: number) => start + (index * 1_000) / rate
  let sent = 0
  while (sent < count) {
    for (const now = performance.now(); sent < count && due(sent) <= now; sent++) {
      if (sent === first) mark('begin')
      sentAt[sent] = performance.now()
      flows[sent % flows.length]!.send()
    }
    await delay(1)
  }
  mark('end')
  const verification = await settled(flows, options.confirmed)
  const measured = Array.from({ length: count - first }, (_, i) => first + i).filter((i) => arrivedAt[i]! > 0)
  return {
    messages: measured.length,
    seconds: measureMs / 1_000,
    latencyMs: quantiles(measured.map((i) => arrivedAt[i]! - sentAt[i]!)),
    latenessMs: quantiles(measured.map((i) => sentAt[i]! - due(i))),
    verification
  }
}
