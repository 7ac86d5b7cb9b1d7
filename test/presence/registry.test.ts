// Who is told of whom: each session hears what differs from the last list of peers it was given.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type Present, Registry } from '../../src/presence/registry.ts'

interface Listener extends Present {
  readonly heard: string[]
}

function listener(peer: string, network = 'n'): Listener {
  const heard: string[] = []
  const session = {
    // Frames are short: two bytes of header each (RFC 6455, 5.2).
    notify: (frames: Buffer) => {
      for (let at = 0; at < frames.length; at += 2 + frames[at + 1]!) {
        heard.push(frames.subarray(at + 2, at + 2 + frames[at + 1]!).toString())
      }
    },
    close: () => {}
  }
  return { network, peer, session, heard, listedAt: 0, announcement: (change) => `${change} ${peer}` }
}

async function announced(): Promise<void> {
  await setTimeout(15)
}

const registry = () => new Registry<Listener>({ coalesceMs: 5 })

test('a peer that leaves and returns at once is not announced to those who saw it before', async () => {
  const presence = registry()
  const [old, peer] = [listener('old'), listener('peer')]
  for (const each of [old, peer]) presence.add(each)
  await announced()
  old.heard.length = 0
  presence.remove(peer)
  presence.add(listener('peer'))
  await announced()
  assert.deepEqual(old.heard, [])
})

test('a session that registered while a peer was away for a moment is told that it joined', async () => {
  const presence = registry()
  const [old, peer] = [listener('old'), listener('peer')]
  for (const each of [old, peer]) presence.add(each)
  await announced()
  presence.remove(peer)
  const between = listener('between')
  presence.add(between)
  assert.deepEqual(presence.peers('n'), ['old', 'between'])
  presence.add(listener('peer'))
  await announced()
  assert.deepEqual(between.heard, ['joined peer'])
})

test('a peer that came and went is announced as gone to those alone whose list showed it', async () => {
  const presence = registry()
  const [old, peer, between] = [listener('old'), listener('peer'), listener('between')]
  presence.add(old)
  await announced()
  presence.add(peer)
  presence.add(between)
  presence.remove(peer)
  await announced()
  assert.deepEqual(old.heard, ['joined between'])
  assert.deepEqual(between.heard, ['left peer'])
})

test('a list that is asked for later is the one that counts', async () => {
  const presence = registry()
  const [old, peer] = [listener('old'), listener('peer')]
  presence.add(old)
  await announced()
  presence.add(peer)
  assert.deepEqual(presence.listFor(old), ['old', 'peer'])
  await announced()
  assert.deepEqual(old.heard, [], 'its list shows the peer already')
  presence.remove(peer)
  await announced()
  assert.deepEqual(old.heard, ['left peer'])
})

test('only the first session of a peer joins and only the last one leaves, and no network hears of another', async () => {
  const presence = registry()
  const [old, foreign] = [listener('old'), listener('old', 'other')]
  const devices = [listener('peer'), listener('peer')]
  for (const each of [old, foreign]) presence.add(each)
  await announced()
  for (const device of devices) presence.add(device)
  await announced()
  assert.deepEqual([presence.size, presence.sessions('n', 'peer').length], [4, 2])
  assert.equal(presence.remove(devices[0]!), 1)
  await announced()
  assert.deepEqual(old.heard, ['joined peer'])
  assert.equal(presence.remove(devices[0]!), 1, 'it was not in it any more')
  assert.equal(presence.remove(devices[1]!), 0)
  await announced()
  assert.deepEqual(old.heard, ['joined peer', 'left peer'])
  assert.deepEqual(foreign.heard, [])
})

test('in random comings and goings every session ends with the list that is true', async () => {
  const presence = registry()
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return seed % below
  }
  const connected = new Map<string, Listener>()
  const lists = new Map<Listener, Set<string>>()
  for (let step = 0; step < 400; step++) {
    const name = `p${random(6)}`
    const known = connected.get(name)
    if (known !== undefined) {
      presence.remove(known)
      connected.delete(name)
      lists.delete(known)
    } else {
      const joined = listener(name)
      presence.add(joined)
      connected.set(name, joined)
      lists.set(joined, new Set(presence.peers('n')))
    }
    if (random(10) === 0) await announced()
  }
  await announced()
  for (const [session, list] of lists) {
    for (const frame of session.heard) {
      const [change, peer] = frame.split(' ') as [string, string]
      if (change === 'joined') list.add(peer)
      else list.delete(peer)
    }
    assert.deepEqual([...list].sort(), presence.peers('n').sort())
  }
})
