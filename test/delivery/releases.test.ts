// The way out of the mailboxes, on a database that refuses what the test says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Database } from '../../src/database/database.ts'
import type { SentEntry } from '../../src/delivery/delivery.ts'
import { Releases } from '../../src/delivery/releases.ts'
import { until } from '../helpers/wait.ts'

const sent = (seq: number): SentEntry => ({
  ...{ seq, digest: null, bytes: 10, slot: false, acceptedAt: 0, isReceipted: true, isSuspect: false }
})

/** A table of entries. `refuses`: a delete that holds this place fails; `isAway`: every one does. */
function table(...stored: number[]) {
  const entries = new Set(stored)
  const state = { refuses: undefined as number | undefined, isAway: false, deletes: [] as number[][] }
  const remove = async (seqs: readonly number[]) => {
    state.deletes.push([...seqs])
    if (state.isAway) throw new Error('no connection')
    if (seqs.includes(state.refuses!)) throw Object.assign(new Error('refused'), { code: '23514' })
    return { count: seqs.filter((seq) => entries.delete(seq)).length }
  }
  const noted: unknown[][] = []
  const update = async (_text: unknown, ...values: unknown[]) => {
    noted.push(values)
    return []
  }
  const sql = Object.assign((_text: unknown, seqs: readonly number[]) => remove(seqs), {
    begin: async (work: (tx: typeof update) => Promise<unknown>) => work(update)
  })
  const database = { sql, deadlineMs: 10_000, within: (query: Promise<unknown>) => query } as unknown as Database
  return { entries, state, noted, database }
}

function releasesOf(...stored: number[]) {
  const all = table(...stored)
  const lines: string[] = []
  const line = (_facts: object, message: string) => void lines.push(message)
  const releases = new Releases({ database: all.database, log: { error: line, warn: line } })
  const settled: [number, boolean][] = []
  const release = (...seqs: number[]) => {
    for (const seq of seqs) releases.release(sent(seq), (entry, hasLeft) => void settled.push([entry.seq, hasLeft]))
  }
  return { ...all, releases, lines, settled, release }
}

test('entries that are released together are deleted together, and each is settled after that', async () => {
  const { releases, release, settled, state, entries } = releasesOf(1, 2, 3)
  release(1, 2)
  assert.deepEqual([releases.isReleasing(1), releases.isReleasing(3), settled], [true, false, []])
  await releases.drained()
  assert.deepEqual(state.deletes, [[1, 2]])
  assert.deepEqual(settled, [
    [1, true],
    [2, true]
  ])
  assert.deepEqual([[...entries], releases.isReleasing(1)], [[3], false])
})

test('an entry that Postgres refuses to delete stays, alone', async () => {
  const { releases, release, settled, entries, state, lines } = releasesOf(1, 2, 3, 4, 5)
  state.refuses = 4
  release(1, 2, 3, 4, 5)
  await releases.drained()
  assert.deepEqual([...entries], [4])
  assert.deepEqual(settled, [
    [1, true],
    [2, true],
    [3, true],
    [4, false],
    [5, true]
  ])
  assert.equal(lines.length, 1)
  assert.deepEqual(
    [4, 5].map((seq) => releases.isReleasing(seq)),
    [false, false]
  )
  assert.deepEqual(
    [4, 4, 5].map((seq) => releases.wasReturned(seq)),
    [true, false, false],
    'it will be sent again, and that is told once'
  )
})

test('while Postgres is away the release is tried again, and the log says so once', async () => {
  const { releases, release, settled, state, lines } = releasesOf(1)
  state.isAway = true
  release(1)
  await until('a second try', () => state.deletes.length === 2)
  assert.deepEqual([settled, lines.length, releases.isReleasing(1)], [[], 1, true])
  state.isAway = false
  await until('the entry is released', () => settled.length > 0)
  assert.deepEqual([settled, lines.length], [[[1, true]], 1])
})

test('an entry stays releasing until every page that may hold it has been read', async () => {
  const { releases, release } = releasesOf(1, 2)
  const pages: (() => void)[] = []
  const page = () => releases.reading(() => new Promise<void>((resolve) => void pages.push(resolve)))
  const first = page()
  release(1)
  await releases.drained()
  const second = page() // asked for after the delete, but the first one is under way still
  assert.equal(releases.isReleasing(1), true)
  pages[0]!()
  await first
  await turn()
  assert.equal(releases.isReleasing(1), true)
  pages[1]!()
  await second
  assert.equal(releases.isReleasing(1), true, 'who reads the page looks through it first')
  await turn()
  assert.equal(releases.isReleasing(1), false)
  release(2)
  await releases.drained()
  assert.equal(releases.isReleasing(2), false, 'no page is under way')
})

test('a page that could not be read holds nothing back', async () => {
  const { releases, release } = releasesOf(1)
  const failing = releases.reading(async () => {
    await releases.drained()
    throw new Error('no connection')
  })
  release(1)
  await assert.rejects(failing, /no connection/)
  await releases.drained()
  await turn()
  assert.equal(releases.isReleasing(1), false)
})

test('an entry that expired or was purged while it was released has not left twice', async () => {
  const { releases, release, settled } = releasesOf(1, 2)
  release(1, 2)
  releases.gone([{ seq: 1, network: 'n', recipient: 'r', bytes: 10 }])
  releases.gone([{ seq: 9, network: 'n', recipient: 'r', bytes: 10 }])
  await releases.drained()
  assert.deepEqual(settled, [
    [1, false],
    [2, true]
  ])
  assert.equal(releases.isReleasing(9), false)
})

test('what a session that ended did not receipt is noted, and known as sent before', async () => {
  const { releases, noted } = releasesOf()
  releases.ended({ network: 'n', recipient: 'r', unreceipted: [4, 5], isLast: false })
  await releases.drained()
  assert.ok(
    noted.some((values) => JSON.stringify(values).includes('[4,5]')),
    JSON.stringify(noted)
  )
  assert.deepEqual(
    [4, 5, 6].map((seq) => releases.wasReturned(seq)),
    [true, true, false]
  )
})

test('a settled release that throws keeps no other one from being settled', async () => {
  const { releases, release, settled, lines } = releasesOf(1, 2)
  releases.release(sent(1), () => {
    throw new Error('a defect')
  })
  release(2)
  await releases.drained()
  assert.deepEqual([settled, lines.length], [[[2, true]], 1])
})
