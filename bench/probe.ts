import { setTimeout as delay } from 'node:timers/promises'
import { type Quantiles, quantiles } from './statistics.ts'

const EVERY_MS = 20

/** Asks for a page again and again while something else goes on; how long the answers took, in ms. */
export async function probedWhile<T>(url: string, work: () => Promise<T>): Promise<{ result: T; answerMs: Quantiles }> {
  const answers: number[] = []
  let isOver = false
  const ask = async () => {
    while (!isOver) {
      const began = performance.now()
      const response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
      await response.arrayBuffer()
      answers.push(performance.now() - began)
      await delay(EVERY_MS)
    }
  }
  const asking = ask()
  try {
    const result = await work()
    isOver = true
    await asking
    return { result, answerMs: quantiles(answers) }
  } finally {
    isOver = true
    await asking.catch(() => {})
  }
}
