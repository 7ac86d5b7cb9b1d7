// The quiet pairs: each half says something at a steady rate, and the other hears it.
import { setTimeout as delay } from 'node:timers/promises'
import type { Scope } from '../helpers/at-end.ts'
import type { Line, ReceivedFrame } from '../helpers/inbox.ts'
import { openL2psPeer, sendFrame } from '../helpers/l2ps-peer.ts'
import { openPeer } from '../helpers/peer.ts'
import { SIEGE_NETWORK } from './attack.ts'

/** How often each half of a pair says something, in ms. */
const SAY_EVERY_MS = 50

/** What was late (in ms), refused, or did not come. */
export interface Heard {
  readonly times: readonly number[]
  readonly sent: number
  readonly refused: number
  readonly lost: number
}

/** One half of a pair speaks until `end`; what is missing then is waited for. */
export type Talk = (end: number, patienceMs: number) => Promise<Heard>

interface Half<P extends Line> {
  readonly from: P
  readonly to: P
  /** Says what the time is. */
  say(at: number): void
  /** The time that `from` said; undefined when the frame is another's. */
  timeIn(frame: ReceivedFrame): number | undefined
}

/** Both halves of a pair. */
export async function signalingTalks(scope: Scope, url: string, n: number): Promise<Talk[]> {
  const [left, right] = [await openPeer(scope, url), await openPeer(scope, url)]
  await left.register(`left-${n}`)
  await right.register(`right-${n}`)
  const half = (from: typeof left, to: typeof left) =>
    talk({
      ...{ from, to },
      say: (at) => from.send({ type: 'message', payload: { targetId: to.clientId, message: { at } } }),
      timeIn: ({ type, payload }) =>
        type === 'message' && payload.fromId === from.clientId ? payload.message.at : undefined
    })
  return [half(left, right), half(right, left)]
}

export async function l2psTalks(scope: Scope, url: string): Promise<Talk[]> {
  const [left, right] = [await openL2psPeer(scope, `${url}/l2ps`), await openL2psPeer(scope, `${url}/l2ps`)]
  await left.register(SIEGE_NETWORK)
  await right.register(SIEGE_NETWORK)
  const half = (from: typeof left, to: typeof left) =>
    talk({
      ...{ from, to },
      say: (at) => void from.send(sendFrame(to.key, String(at))),
      timeIn: ({ type, payload }) =>
        type === 'message' && payload.from === from.key ? Number(payload.encrypted.ciphertext) : undefined
    })
  return [half(left, right), half(right, left)]
}

function talk<P extends Line>({ from, to, say, timeIn }: Half<P>): Talk {
  return async (end, patienceMs) => {
    const times: number[] = []
    let [sent, refused] = [0, 0]
    const hear = (data: unknown) => {
      const at = timeIn(JSON.parse(String(data)))
      if (at !== undefined) times.push(performance.now() - at)
    }
    const complain = (data: unknown) => {
      if (JSON.parse(String(data)).type === 'error') refused += 1
    }
    to.ws.on('message', hear)
    from.ws.on('message', complain)
    while (performance.now() < end) {
      say(performance.now())
      sent += 1
      await delay(SAY_EVERY_MS)
    }
    const last = performance.now() + patienceMs
    while (times.length + refused < sent && performance.now() < last) await delay(10)
    to.ws.off('message', hear)
    from.ws.off('message', complain)
    return { times, sent, refused, lost: sent - refused - times.length }
  }
}
