// Two peers that mind their own business: whatever others send, each of their messages comes, once and in order.
import { setTimeout as delay } from 'node:timers/promises'
import { sendFrame } from '../helpers/l2ps-peer.ts'
import { roundTrip } from '../helpers/peer.ts'
import type { TestServer } from '../helpers/server.ts'

const PAUSE_MS = 5
const PATIENCE_MS = 60_000

export interface Pair {
  /** Stops, and tells how many messages came; rejects when one did not. */
  stop(): Promise<number>
}

export async function signalingPair(server: TestServer): Promise<Pair> {
  const [left, right] = [await server.join('healthy-left'), await server.join('healthy-right')]
  return talking(async (n) => {
    left.send({ type: 'message', payload: { targetId: 'healthy-right', message: { n } } })
    const { payload } = await right.next('message', PATIENCE_MS)
    if (payload.message.n !== n) throw new Error(`signaling: message ${n} is ${JSON.stringify(payload)}`)
    for (const peer of [left, right]) {
      const more = (await roundTrip(peer)).filter(({ type }) => type !== 'peer_disconnected')
      if (more.length > 0) throw new Error(`signaling: after message ${n} came ${JSON.stringify(more)}`)
    }
  })
}

export async function l2psPair(server: TestServer): Promise<Pair> {
  await server.addNetworks('healthy')
  const [left, right] = [await server.enter('healthy'), await server.enter('healthy')]
  await left.next('peer_joined')
  return talking(async (n) => {
    const asked = left.send(sendFrame(right.key, 'AAAA', `healthy-${n}`))
    const answer = await left.answerTo(asked, PATIENCE_MS)
    const { payload } = await right.next('message', PATIENCE_MS)
    const isRight = answer.type === 'message_sent' && payload.messageHash === `healthy-${n}`
    if (!isRight)
      throw new Error(`l2ps: message ${n} is ${JSON.stringify(payload)}, answered ${JSON.stringify(answer)}`)
    await left.nothingMore(PATIENCE_MS)
  })
}

function talking(say: (n: number) => Promise<void>): Pair {
  let [said, goesOn] = [0, true]
  const talk = async () => {
    while (goesOn) {
      await say(said)
      said += 1
      await delay(PAUSE_MS)
    }
    return said
  }
  const talked = talk()
  talked.catch(() => {}) // told by stop
  return {
    stop: () => {
      goesOn = false
      return talked
    }
  }
}
