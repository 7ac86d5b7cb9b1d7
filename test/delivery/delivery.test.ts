import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Delivery } from '../../src/delivery/delivery.ts'
import type { QueueEntry } from '../../src/store/queue-entry.ts'

const entry = (seq: number, changes: Partial<QueueEntry> = {}): QueueEntry => ({
  ...{ seq, network: 'n', sender: 's', recipient: 'r', digest: `d${seq}`, sealed: '{}', bytes: 10, keyId: null },
  ...{ slot: false, acceptedAt: seq, deliveries: 0 },
  ...changes
})

/** A mailbox in memory: pages are given when the test says so. */
function mailbox(window = { messages: 4, bytes: 1_000 }, canSend: (entry: QueueEntry) => boolean = () => true) {
  const stored: QueueEntry[] = []
  const [written, released]: [number[], number[]] = [[], []]
  const pages: (() => void)[] = []
  const fails = { next: false }
  const socket = { isFull: false }
  const releasing = new Set<number>()
  const relays = { settledTo: Number.POSITIVE_INFINITY }
  const delivery = new Delivery(
    {
      read: (afterSeq, limit, _maxBytes, known) =>
        new Promise((resolve, reject) => {
          pages.push(() => {
            const isAsked = ({ seq }: QueueEntry) => seq > afterSeq && !known.includes(seq)
            if (fails.next) reject(new Error('away'))
            else resolve(stored.filter(isAsked).slice(0, limit))
          })
        }),
      settledTo: () => relays.settledTo,
      isReleasing: (seq) => releasing.has(seq),
      send: (each) => canSend(each) && written.push(each.seq) > 0,
      wrote: () => {},
      isFull: () => socket.isFull,
      received: (entries) => void released.push(...entries.map(({ seq }) => seq)),
      clock: () => performance.now()
    },
    window
  )
  const givePage = async () => {
    pages.shift()!()
    await setImmediate()
  }
  const commit = (each: QueueEntry) => {
    stored.push(each)
    delivery.offer(each)
  }
  return { delivery, stored, written, released, releasing, relays, pages, fails, socket, givePage, commit }
}

test('the stored entries come first, then what was committed meanwhile, then live ones; each once and in order', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.stored.push(entry(1), entry(2))
  box.delivery.start()
  box.commit(entry(3))
  await box.givePage()
  box.commit(entry(4))
  while (box.pages.length > 0) await box.givePage()
  box.commit(entry(5))
  assert.deepEqual(box.written, [1, 2, 3, 4, 5])
  assert.equal(box.pages.length, 0)
})

test('an entry committed while the last, empty page was read is not missed', async () => {
  const box = mailbox()
  box.delivery.start()
  const empty = box.pages.shift()!
  empty() // answered as empty, but not yet seen
  box.commit(entry(1))
  await setImmediate()
  await box.givePage()
  assert.deepEqual(box.written, [1])
})

test('past its window it sends nothing more, and reads on when receipts come', async () => {
  const box = mailbox()
  box.delivery.start()
  await box.givePage()
  for (let seq = 1; seq <= 10; seq++) box.commit(entry(seq))
  assert.deepEqual(box.written, [1, 2, 3, 4])
  box.delivery.receipt(1)
  assert.equal(box.pages.length, 0) // not for one free place
  box.delivery.receipt(4)
  await box.givePage()
  assert.deepEqual(box.written, [1, 2, 3, 4, 5, 6, 7, 8])
  assert.deepEqual(box.released, [1, 2, 3, 4])
})

test('a window is full by bytes too', async () => {
  const box = mailbox({ messages: 100, bytes: 25 })
  box.delivery.start()
  await box.givePage()
  for (let seq = 1; seq <= 5; seq++) box.commit(entry(seq))
  assert.deepEqual(box.written, [1, 2, 3])
  assert.deepEqual(box.delivery.unreceipted, { messages: 3, bytes: 30 })
})

test('while the socket is full nothing is written, and what came meanwhile is read when it has drained', async () => {
  const box = mailbox()
  box.delivery.start()
  await box.givePage()
  box.socket.isFull = true
  box.commit(entry(1))
  box.commit(entry(2))
  assert.deepEqual(box.written, [])
  box.socket.isFull = false
  box.delivery.drained()
  await box.givePage()
  assert.deepEqual(box.written, [1, 2])
})

test('after its end it believes no receipt and sends nothing', async () => {
  const box = mailbox()
  box.delivery.start()
  await box.givePage()
  box.commit(entry(1))
  box.delivery.stop()
  box.delivery.receipt(1)
  box.delivery.acknowledge('d1')
  box.delivery.acknowledgeTo(1)
  box.commit(entry(2))
  assert.deepEqual([box.written, box.released], [[1], []])
})

test('a page that arrives after its end is not sent', async () => {
  const box = mailbox()
  box.stored.push(entry(1))
  box.delivery.start()
  box.delivery.stop()
  await box.givePage()
  assert.deepEqual(box.written, [])
})

test('a page that cannot be read is tried again', async () => {
  const box = mailbox()
  box.stored.push(entry(1))
  box.fails.next = true
  box.delivery.start()
  await box.givePage()
  box.fails.next = false
  while (box.pages.length === 0) await setImmediate()
  await box.givePage()
  assert.deepEqual(box.written, [1])
  box.delivery.stop()
})

test('a receipt for more than was sent, or for less than before, changes nothing', async () => {
  const box = mailbox()
  box.delivery.start()
  await box.givePage()
  for (const seq of [1, 2, 3]) box.commit(entry(seq))
  for (const count of [9, 2, 1, 2]) box.delivery.receipt(count)
  assert.deepEqual(box.released, [1, 2])
})

test('acknowledged out of turn, entries are released, and the window moves past them', async () => {
  const box = mailbox()
  box.delivery.start()
  await box.givePage()
  for (const seq of [1, 2, 3, 4]) box.commit(entry(seq))
  box.delivery.acknowledge('d3')
  box.delivery.acknowledge('d2')
  box.delivery.acknowledge('d2')
  assert.deepEqual([box.released, box.delivery.unreceipted.messages], [[3, 2], 4])
  box.delivery.acknowledge('d1')
  assert.deepEqual([box.released, box.delivery.unreceipted.messages], [[3, 2, 1], 1])
  box.delivery.acknowledgeTo(100)
  assert.deepEqual([box.released, box.delivery.unreceipted], [[3, 2, 1, 4], { messages: 0, bytes: 0 }])
})

test('what is not admitted stays in the mailbox, and does not stop the others', async () => {
  const box = mailbox({ messages: 4, bytes: 1_000 }, ({ seq }) => seq !== 2)
  box.stored.push(entry(1), entry(2), entry(3))
  box.delivery.start()
  while (box.pages.length > 0) await box.givePage()
  box.delivery.receipt(2)
  assert.deepEqual(
    [box.written, box.released],
    [
      [1, 3],
      [1, 3]
    ]
  )
})

test('an entry committed late, at a place that was passed, is sent when it is read again; nothing else is sent again', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.delivery.start()
  await box.givePage()
  box.commit(entry(2))
  box.commit(entry(3))
  box.delivery.receipt(1)
  box.stored.unshift(entry(1)) // its group was given up, and committed after all
  box.delivery.reread(1)
  box.delivery.reread(1)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [2, 3, 1])
  box.delivery.reread(1)
  assert.equal(box.pages.length, 0, 'it is on its way: nothing to look for')
  box.delivery.receipt(3)
  assert.deepEqual(box.released, [2, 3, 1])
})

test('an entry read again while a page is read, or while the window is full, is found by the next page', async () => {
  const box = mailbox({ messages: 2, bytes: 1_000 })
  box.stored.push(entry(2), entry(3), entry(4))
  box.delivery.start()
  await box.givePage() // 2 and 3: the window is full
  box.stored.unshift(entry(1))
  box.delivery.reread(1)
  box.delivery.receipt(2)
  box.delivery.reread(1)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [2, 3, 1, 4])
})

test('of several relays: what was committed behind the cursor goes out before what was sent after it', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 }, ({ seq }) => seq !== 3)
  box.relays.settledTo = 1
  box.stored.push(entry(1), entry(3))
  box.delivery.start()
  while (box.pages.length > 0) await box.givePage()
  box.commit(entry(5)) // of another relay than 2, 4 and 6
  box.stored.splice(1, 0, entry(2), entry(4))
  box.stored.push(entry(6))
  box.delivery.reread(6) // the hand-overs of 2 and 4 are on their way
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 5, 2, 4, 6])
  box.delivery.receipt(5)
  box.relays.settledTo = 6
  box.stored.unshift(entry(0)) // whatever is settled is not read again
  box.delivery.reread(7)
  while (box.pages.length > 0) await box.givePage()
  box.delivery.reread(7)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 5, 2, 4, 6])
})

test('an entry that left its mailbox while a page was read is not sent again out of that page', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.delivery.start()
  await box.givePage()
  box.commit(entry(2))
  box.delivery.receipt(1)
  box.stored.unshift(entry(1))
  box.delivery.reread(1)
  box.pages.shift()!() // read while 2 was still there
  box.stored.pop()
  box.delivery.gone(2)
  await setImmediate()
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [2, 1])
})

test('what can be sent only now is sent although its place was passed, and nothing else is sent again', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  const plain = (seq: number) => entry(seq, { digest: null })
  box.stored.push(plain(2), plain(5))
  box.delivery.start()
  await box.givePage()
  box.stored.unshift(plain(1))
  box.stored.splice(2, 0, plain(3))
  box.delivery.reread(1) // while an empty page is on its way
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [2, 5, 1, 3])
  box.stored.splice(3, 0, plain(4))
  box.delivery.reread(4)
  box.commit(plain(6))
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [2, 5, 1, 3, 4, 6])
})

test('an entry to look at again is sent once when the page under way holds it; with a full window, in its turn', async () => {
  const box = mailbox({ messages: 2, bytes: 10_000 })
  const plain = (seq: number) => entry(seq, { digest: null })
  box.stored.push(plain(1), plain(2), plain(3))
  box.delivery.start()
  box.delivery.reread(1)
  await box.givePage()
  assert.deepEqual(box.written, [1, 2])
  box.delivery.receipt(2)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 2, 3])
})

test('what was purged is out of the window: what is behind it does not wait for its receipt', async () => {
  const box = mailbox({ messages: 2, bytes: 10_000 })
  box.stored.push(entry(1), entry(2), entry(3), entry(4))
  box.delivery.start()
  await box.givePage()
  box.stored.splice(1, 1)
  box.delivery.gone(2)
  assert.deepEqual([box.written, box.pages.length], [[1, 2], 0], 'the first is still waited for')
  box.delivery.receipt(1)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual([box.written, box.released], [[1, 2, 3, 4], [1]])
  assert.deepEqual(box.delivery.unreceipted, { messages: 2, bytes: 20 })
  box.delivery.receipt(2) // a pong that was under way
  box.delivery.receipt(4)
  assert.deepEqual(box.released, [1, 3, 4])
})

test('an entry that failed twice is sent alone; purged while it is waited for, it lets the others pass', async () => {
  const box = mailbox()
  box.stored.push(entry(1), entry(2, { deliveries: 2 }), entry(3))
  box.delivery.start()
  await box.givePage()
  assert.deepEqual(box.written, [1])
  box.delivery.receipt(1)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 2])
  box.stored.splice(1, 1)
  box.delivery.gone(2)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 2, 3])
})

test('to be looked at again are places that are not on their way, whatever is before them', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.stored.push(entry(1), entry(3))
  box.delivery.start()
  while (box.pages.length > 0) await box.givePage()
  box.stored.splice(1, 0, entry(2)) // it was set aside
  box.delivery.reread(1, 2, 3)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 3, 2])
})

test('an acknowledgement of an entry says nothing about earlier places that were sent after it', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.stored.push(entry(3, { digest: null }))
  box.delivery.start()
  while (box.pages.length > 0) await box.givePage()
  box.stored.unshift(entry(1, { digest: null }), entry(2, { digest: null }))
  box.delivery.reread(1)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [3, 1, 2])
  box.delivery.acknowledgeTo(3)
  assert.deepEqual(box.released, [3])
  box.delivery.acknowledgeTo(2)
  assert.deepEqual(box.released, [3, 1, 2])
})

test('an entry on its way out of the mailbox is not sent out of a page that still has it', async () => {
  const box = mailbox()
  box.stored.push(entry(1), entry(2))
  box.releasing.add(1)
  box.delivery.start()
  await box.givePage()
  assert.deepEqual(box.written, [2])
})

test('a session owes what it was sent and has not receipted, and what it has not come to yet', async () => {
  const box = mailbox({ messages: 2, bytes: 1_000 })
  box.stored.push(entry(1), entry(2), entry(3))
  box.delivery.start()
  await box.givePage()
  const owes = () => [1, 2, 3].map((seq) => box.delivery.owes(seq))
  assert.deepEqual(owes(), [true, true, true])
  box.delivery.acknowledgeTo(1)
  assert.deepEqual(owes(), [false, true, true])
  box.delivery.stop()
  assert.deepEqual(owes(), [false, false, false])
})

test('an entry that expired or was purged is not released when its receipt comes', async () => {
  const box = mailbox()
  box.delivery.start()
  await box.givePage()
  box.commit(entry(1))
  box.commit(entry(2))
  box.delivery.gone(1)
  box.delivery.receipt(2)
  assert.deepEqual(box.released, [2])
})

test('an entry that failed twice is sent alone, and those behind it after its receipt', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.stored.push(entry(1), entry(2, { deliveries: 2 }), entry(3), entry(4))
  box.delivery.start()
  await box.givePage()
  assert.deepEqual(box.written, [1], 'it waits until the window is empty')
  await setImmediate()
  assert.equal(box.pages.length, 0, 'and no page is read meanwhile')
  box.delivery.receipt(1)
  await box.givePage()
  assert.deepEqual(box.written, [1, 2])
  box.delivery.receipt(2)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 2, 3, 4])
})

test('while thousands of receipted entries wait for their deletion nothing more is sent', async () => {
  const box = mailbox({ messages: 4_096, bytes: 1_000_000 })
  box.delivery.start()
  await box.givePage()
  const send = (from: number, to: number) => {
    for (let seq = from; seq <= to; seq++) box.commit(entry(seq))
  }
  send(1, 4_096)
  box.delivery.receipt(4_096)
  send(4_097, 8_192)
  box.delivery.receipt(8_192)
  send(8_193, 8_200)
  assert.equal(box.written.length, 8_192)
  for (let seq = 1; seq <= 8_192; seq++) box.delivery.gone(seq)
  await box.givePage()
  assert.equal(box.written.length, 8_192 + 8)
})

test('a mailbox that is known to be empty is not read', async () => {
  const box = mailbox()
  box.delivery.start(true)
  assert.equal(box.pages.length, 0)
  box.commit(entry(1))
  assert.deepEqual(box.written, [1])
})

test('a transition that the diagram does not have is a defect', () => {
  const box = mailbox()
  box.delivery.stop()
  box.delivery.start()
  assert.deepEqual([box.pages.length, box.written], [0, []])
})

test('an entry that is offered late or twice is not sent again, also when the mailbox was read anew meanwhile', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.delivery.start(true)
  for (const seq of [1, 2, 3]) box.commit(entry(seq))
  box.delivery.receipt(3)
  for (const { seq } of box.stored.splice(0)) box.delivery.gone(seq) // received, and out of the mailbox
  box.delivery.rereadAll()
  while (box.pages.length > 0) await box.givePage()
  for (const seq of [2, 3]) box.delivery.offer(entry(seq))
  while (box.pages.length > 0) await box.givePage()
  box.commit(entry(4))
  assert.deepEqual(box.written, [1, 2, 3, 4])
})

test('entries of two relays that are offered out of the order of their places are all sent', async () => {
  const box = mailbox({ messages: 3, bytes: 10_000 })
  box.delivery.start(true)
  const [early, late] = [entry(1), entry(2)]
  box.stored.push(early, late)
  box.delivery.offer(late)
  box.delivery.offer(early)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [2, 1])
  box.commit(entry(4)) // the window is full now
  box.stored.splice(2, 0, entry(3))
  box.delivery.offer(entry(3))
  assert.ok(box.delivery.owes(3), 'what is to be read again is owed')
  box.delivery.receipt(3)
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [2, 1, 4, 3])
})

test('a session that has missed something reads its whole mailbox, and sends nothing twice', async () => {
  const box = mailbox({ messages: 100, bytes: 10_000 })
  box.delivery.start(true)
  box.commit(entry(1)) // the first place there is, and not receipted
  box.stored.push(entry(2)) // nobody said so
  box.commit(entry(3))
  box.delivery.rereadAll()
  while (box.pages.length > 0) await box.givePage()
  assert.deepEqual(box.written, [1, 3, 2])
})
