// Who is told of whom: each session hears what differs from the last list of peers it was given.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn, setTimeout } from 'node:timers/promises'
import { type PageOfPeers, type Present, Registry } from '../../src/presence/registry.ts'
import { SLICE_MS } from '../../src/util/slices.ts'
import { until } from '../helpers/wait.ts'

interface Listener extends Present {
  readonly heard: string[]
  announcement: Present['announcement']
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
  return { network, peer, session, heard, listedAt: 0, hasPart: false, announcement: (change) => `${change} ${peer}` }
}

async function announced(): Promise<void> {
  await setTimeout(15)
}

const registry = (fanOutPeers?: number) => new Registry<Listener>({ coalesceMs: 5, fanOutPeers })

const everybody = (presence: Registry<Listener>) => presence.page('n', { limit: 1_000 }).peers

/** A list is sent to a session: a page of at most `limit` peers. */
function list(presence: Registry<Listener>, session: Listener, page: Partial<PageOfPeers> = {}): string[] {
  const { peers, hasMore } = presence.page('n', { limit: 1_000, ...page })
  const isWhole = !hasMore && page.after === undefined && page.prefix === undefined
  presence.listed(session, presence.moment(), isWhole)
  return peers
}

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

test('as long as very many come, nobody is told; once few do, or after a second, all are', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const presence = new Registry<Listener>({ coalesceMs: 50 })
  const old = listener('old')
  let joined = 0
  /** `ms` pass, and what is told in slices is told. */
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms)
    for (let turns = 0; turns < 5; turns++) await nextTurn()
  }
  const join = async (peers: number) => {
    for (let more = 0; more < peers; more++) presence.add(listener(`${++joined}`))
    await pass(30)
  }
  presence.add(old)
  for (let times = 0; times < 10; times++) await join(20)
  assert.deepEqual(old.heard, [])
  for (let times = 0; times < 4; times++) await pass(50)
  assert.equal(old.heard.length, 200)
  await join(2)
  for (let times = 0; times < 2; times++) await pass(50)
  assert.equal(old.heard.length, 202)
  for (let times = 0; times < 60; times++) await join(20)
  assert.ok(old.heard.length > 202 + 400)
})

test('a session that registered while a peer was away for a moment is told that it joined', async () => {
  const presence = registry()
  const [old, peer] = [listener('old'), listener('peer')]
  for (const each of [old, peer]) presence.add(each)
  await announced()
  presence.remove(peer)
  const between = listener('between')
  presence.add(between)
  assert.deepEqual(everybody(presence), ['between', 'old'])
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
  assert.deepEqual(list(presence, old), ['old', 'peer'])
  await announced()
  assert.deepEqual(old.heard, [], 'its list shows the peer already')
  presence.remove(peer)
  await announced()
  assert.deepEqual(old.heard, ['left peer'])
})

test('a page of the list hides no change: neither of peers on it nor of the others', async () => {
  const presence = registry()
  const [old, onPage, offPage] = [listener('old'), listener('a'), listener('z')]
  for (const each of [old, onPage, offPage, listener('stays')]) presence.add(each)
  await announced()
  old.heard.length = 0
  presence.remove(offPage)
  presence.remove(onPage)
  assert.deepEqual(list(presence, old, { limit: 1 }), ['old'])
  presence.add(listener('a'))
  await announced()
  assert.deepEqual(old.heard.sort(), ['joined a', 'left z'])
  assert.deepEqual(list(presence, old), ['a', 'old', 'stays'])
  presence.remove(presence.sessions('n', 'a')[0]!)
  presence.add(listener('a'))
  await announced()
  assert.equal(old.heard.length, 2, 'after a whole list, nothing of who is back at once')
})

test('in a large network a change is told to those alone that exchanged messages with the peer', async () => {
  const presence = registry(3)
  const all = ['ann', 'ben', 'cat', 'dan', 'eve'].map((name) => listener(name))
  for (const each of all) presence.add(each)
  await announced()
  for (const { heard } of all) assert.deepEqual(heard, [], 'five are more than three')
  const [ann, ben, cat] = all as [Listener, Listener, Listener]
  presence.met('n', 'ann', 'ben')
  presence.met('n', 'away', 'cat')
  presence.met('other', 'ann', 'dan')
  presence.remove(ann)
  await announced()
  presence.add(listener('ann'))
  presence.add(listener('away'))
  await announced()
  assert.deepEqual(ben.heard, ['left ann', 'joined ann'])
  assert.deepEqual(cat.heard, ['joined away'])
  assert.deepEqual([...all[3]!.heard, ...all[4]!.heard], [])
})

test('a network that was large a moment ago is told as a large one', async () => {
  const presence = registry(4)
  const all = ['ann', 'ben', 'cat', 'dan', 'eve', 'fay'].map((name) => listener(name))
  for (const each of all) presence.add(each)
  await announced()
  for (const each of all.slice(1)) presence.remove(each)
  await announced()
  assert.deepEqual(all[0]!.heard, [], 'five changes are more than four')
})

test('contacts are noted in networks of more than half of the limit', async () => {
  const presence = registry(4)
  const all = ['ann', 'ben', 'cat'].map((name) => listener(name))
  for (const each of all.slice(0, 2)) presence.add(each)
  presence.met('n', 'ann', 'ben')
  presence.add(all[2]!)
  presence.met('n', 'ann', 'cat')
  for (const name of ['dan', 'eve', 'fay']) presence.add(listener(name))
  await announced()
  for (const each of all) each.heard.length = 0
  presence.remove(all[0]!)
  await announced()
  assert.deepEqual(
    all.map(({ heard }) => heard),
    [[], [], ['left ann']],
    'two were no more than half of four'
  )
})

test('what changes while a network is told is told after it', async () => {
  const presence = registry()
  const watcher = listener('watcher')
  const leaving = Array.from({ length: 40 }, (_, n) => listener(`p${n}`))
  for (const each of [watcher, ...leaving]) presence.add(each)
  await until(
    () => watcher.heard.join(),
    () => watcher.heard.length === leaving.length
  )
  let isBack = false
  for (const each of leaving) {
    const { announcement } = each
    each.announcement = (change) => {
      if (!isBack) presence.add(listener('p0'))
      isBack = true
      for (const end = performance.now() + SLICE_MS / 2; performance.now() < end; ); // 400 ms for all of them
      return announcement(change)
    }
    presence.remove(each)
  }
  watcher.heard.length = 0
  await until(
    () => watcher.heard.join(),
    () => watcher.heard.length === leaving.length + 1
  )
  assert.deepEqual(
    watcher.heard.filter((frame) => frame.endsWith(' p0')),
    ['left p0', 'joined p0']
  )
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
      lists.set(joined, new Set(everybody(presence)))
    }
    const [asker] = [...lists.keys()].slice(random(lists.size + 1))
    if (asker !== undefined) askAgain(presence, asker, lists, random(3) === 0 ? 1_000 : 1 + random(4))
    if (random(10) === 0) await announced()
  }
  await announced()
  for (const [session, list] of lists) {
    apply(session, list)
    assert.deepEqual([...list].sort(), everybody(presence))
  }
})

/** What a session heard since, on its list. */
function apply({ heard }: Listener, list: Set<string>): void {
  for (const frame of heard.splice(0)) {
    const [change, peer] = frame.split(' ') as [string, string]
    if (change === 'joined') list.add(peer)
    else list.delete(peer)
  }
}

/** A session asks for the first peers, and takes the part of its list that the page is about from the page. */
function askAgain(presence: Registry<Listener>, session: Listener, lists: Map<Listener, Set<string>>, limit: number) {
  const known = lists.get(session)!
  apply(session, known)
  const page = list(presence, session, { limit })
  const isWhole = page.length < limit
  const rest = isWhole ? [] : [...known].filter((name) => name > page.at(-1)!)
  lists.set(session, new Set([...page, ...rest]))
}
