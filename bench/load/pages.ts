import { mark } from '../parent.ts'
import type { Joined } from './joined.ts'

export interface HistoryReport {
  readonly messages: number
  readonly pages: number
  readonly seconds: number
  /** Not there, there twice, or not newest first. */
  readonly faults: number
}

const PAGE_MS = 10_000

interface Page {
  readonly messages: readonly { readonly messageHash: string; readonly timestamp: number }[]
  readonly hasMore: boolean
}

interface Reader {
  readonly reader: Joined
  /** Who it talked with. */
  readonly peerKey: string
}

/**
 * Reads whole conversations of `expected` messages back, each a page after the other, `rounds` times. A round before them is
 * checked, and not measured.
 */
export async function readBack(
  readers: readonly Reader[],
  expected: number,
  limit: number,
  rounds: number
): Promise<HistoryReport> {
  const first = await Promise.all(readers.map((each) => readConversation(each, expected, limit, 1)))
  mark('begin')
  const began = performance.now()
  const reports = await Promise.all(readers.map((each) => readConversation(each, expected, limit, rounds)))
  mark('end')
  const seconds = (performance.now() - began) / 1_000
  const sum = (field: 'messages' | 'pages' | 'faults', of = reports) =>
    of.reduce((total, each) => total + each[field], 0)
  const faults = sum('faults') + sum('faults', first)
  return { messages: sum('messages'), pages: sum('pages'), faults, seconds }
}

async function readConversation({ reader, peerKey }: Reader, expected: number, limit: number, rounds: number) {
  let pages = 0
  let messages = 0
  let faults = 0
  for (let round = 0; round < rounds; round++) {
    const seen = new Set<string>()
    let before: number | undefined
    for (let hasMore = true; hasMore; pages++) {
      const page = await ask(reader, reader.peer.historyFrame!(peerKey, before, limit))
      for (const { messageHash, timestamp } of page.messages) {
        if (seen.has(messageHash) || (before !== undefined && timestamp >= before)) faults += 1
        seen.add(messageHash)
        before = timestamp
        messages += 1
      }
      hasMore = page.hasMore && page.messages.length > 0
    }
    faults += Math.abs(expected - seen.size)
  }
  return { messages, pages, faults }
}

function ask(reader: Joined, frame: string): Promise<Page> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no page of history within ${PAGE_MS} ms`)), PAGE_MS)
    reader.hear = (answer) => {
      const { type, payload } = JSON.parse(answer.toString())
      if (type !== 'history_response' && type !== 'error') return
      clearTimeout(timer)
      if (type === 'error') reject(new Error(`history was refused: ${payload.message}`))
      else resolve(payload)
    }
    reader.send(Buffer.from(frame))
  })
}
