// A network of 100,000 peers, in memory: what is told, to whom, and that nothing is made for nobody.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Present, Registry } from '../../src/presence/registry.ts'
import { until } from '../helpers/wait.ts'

const PEERS = 100_000
const FEW = PEERS / 100

test('of 1,000 that leave a network of 100,000 and come back, frames are made for contacts alone', async () => {
  const presence = new Registry<Present>({ coalesceMs: 5, fanOutPeers: 5_000 })
  const told = new Map<string, number>()
  let made = 0
  const join = (peer: string) => {
    const notify = () => void told.set(peer, (told.get(peer) ?? 0) + 1)
    const announcement = (change: string) => {
      made += 1
      return `${change} ${peer}`
    }
    const session: Present = {
      ...{ network: 'n', peer, listedAt: 0, hasPart: false, announcement },
      session: { notify, close: () => {} }
    }
    presence.add(session)
  }
  const names = Array.from({ length: PEERS }, (_, n) => `peer-${String(n).padStart(6, '0')}`)
  for (const name of names) join(name)
  for (let n = 0; n < 10; n++) presence.met('n', names[n]!, names[PEERS - 1 - n]!)
  presence.met('n', names[0]!, names[PEERS - 2]!)
  await until('the arrivals are told', () => told.size === 10)
  made = 0
  told.clear()

  for (const name of names.slice(0, FEW)) presence.remove(presence.sessions('n', name)[0]!)
  assert.equal(presence.peerCount('n'), PEERS - FEW)
  assert.deepEqual(presence.page('n', { limit: 1 }), { peers: [names[FEW]], hasMore: true })
  await until('the departures are told', () => told.size === 10)
  for (const name of names.slice(0, FEW)) join(name)
  await until('the arrivals are told', () => [...told.values()].every((times) => times === 2))

  assert.deepEqual([...told.keys()].sort(), names.slice(-10))
  assert.equal(made, 2 * 2 * 10, 'a frame of each kind for each peer with contacts, each time')
  const walked: string[] = []
  for (let after: string | undefined, hasMore = true; hasMore; after = walked.at(-1)) {
    const page = presence.page('n', { after, limit: 1_000 })
    hasMore = page.hasMore
    walked.push(...page.peers)
  }
  assert.deepEqual(walked, names)
  presence.close()
})
