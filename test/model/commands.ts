import assert from 'node:assert/strict'
import fc from 'fast-check'
import { due, left, type Model, type ModelMessage, PEERS, QUOTA, slotsOf, TTL_MS } from './model.ts'
import type { Real } from './real.ts'

type Command = fc.AsyncCommand<Model, Real>

/** A command: when it makes sense, and what it does to both; afterwards both must agree. */
function command(
  name: string,
  check: (model: Model) => boolean,
  run: (model: Model, real: Real) => Promise<void>
): Command {
  return {
    check,
    run: async (model, real) => {
      await run(model, real)
      await real.agree(model)
    },
    toString: () => name
  }
}

/** A peer hears what it is sent next. */
async function hear(model: Model, real: Real, peer: number): Promise<void> {
  for (const { id } of due(model, peer)) {
    assert.equal(await real.nextMessage(peer), id)
    model.shown[peer]!.add(id)
  }
}

const register = (peer: number) =>
  command(
    `register(${peer})`,
    (model) => !model.here[peer],
    async (model, real) => {
      await real.enter(peer)
      model.here[peer] = true
      await hear(model, real, peer)
      await real.nothingMore(peer)
    }
  )

/** One of those that are here sends to one of the others. */
const send = (choice: number, step: number) =>
  command(
    `send(${choice}, ${step})`,
    (model) => model.here.includes(true),
    async (model, real) => {
      const here = model.here.flatMap((isHere, peer) => (isHere ? [peer] : []))
      const from = here[choice % here.length]!
      const to = (from + step) % PEERS
      const id = `m${++model.sent}`
      const slot = !model.here[to]
      const isRefused = slot && slotsOf(model, from) >= QUOTA
      const answer = await sendOnce(real, { id, from, to })
      assert.equal(answer, isRefused ? 'error RATE_LIMITED' : slot ? 'message_queued' : 'message_sent')
      if (isRefused) return
      model.mailboxes[to]!.push({ id, from, slot, expiresAt: model.clock + TTL_MS, deliveries: 0 })
      model.history.push({ id, from, to, sentAt: model.clock })
      if (!slot) await hear(model, real, to)
    }
  )

/** A message that history still has is sent again: answered, and not stored or delivered a second time. */
const repeat = (choice: number) =>
  command(
    `repeat(${choice})`,
    (model) => model.history.length > 0 && model.here[chosen(model, choice).from]!,
    async (model, real) => {
      const message = chosen(model, choice)
      const waits = model.mailboxes[message.to]!.some(({ id }) => id === message.id)
      const answer = await sendOnce(real, message)
      const isQueued = waits && !model.here[message.to]
      const isGivenUp = model.givenUp.has(message.id)
      const expected = isGivenUp ? 'error L2PS_SUBMIT_FAILED' : isQueued ? 'message_queued' : 'message_sent'
      assert.equal(answer, expected)
      assert.equal(await sendOnce(real, message, 'other'), 'error L2PS_SUBMIT_FAILED')
      if (model.here[message.to]) await real.nothingMore(message.to)
    }
  )

/** One of those that were sent something acknowledges some of it. */
const acknowledge = (choice: number, share: number) =>
  command(
    `acknowledge(${choice}, ${share})`,
    (model) => readers(model).length > 0,
    async (model, real) => {
      const peer = readers(model)[choice % readers(model).length]!
      const entries = model.mailboxes[peer]!
      const delivered = entries.filter(({ id }) => model.shown[peer]!.has(id))
      const upTo = Math.floor(share * delivered.length)
      real.acknowledge(peer, delivered[upTo]!.id)
      const gone = new Set(delivered.slice(0, upTo + 1).map(({ id }) => id))
      model.mailboxes[peer] = entries.filter(({ id }) => !gone.has(id))
      await hear(model, real, peer)
    }
  )

/** Peers that are here and were sent something that is still in their mailbox. */
const readers = (model: Model): number[] =>
  model.mailboxes.flatMap((entries, peer) => (entries.some(({ id }) => model.shown[peer]!.has(id)) ? [peer] : []))

const kill = (peer: number) =>
  command(
    `kill(${peer})`,
    (model) => model.here[peer]!,
    async (model, real) => {
      await real.leave(peer)
      left(model, peer)
    }
  )

const restart = command(
  'restart()',
  () => true,
  async (model, real) => {
    await real.restart()
    for (const peer of model.here.keys()) left(model, peer)
  }
)

const advance = (ms: number) =>
  command(
    `advance(${ms})`,
    () => true,
    async (model, real) => {
      real.advance(ms)
      model.clock += ms
    }
  )

const expire = command(
  'expire()',
  () => true,
  async (model, real) => {
    const isOver = ({ expiresAt }: { expiresAt: number }) => expiresAt <= model.clock
    const over = model.mailboxes.flat().filter(isOver).length
    assert.equal(await real.expire(), over)
    for (const [peer, entries] of model.mailboxes.entries()) {
      for (const entry of entries) if (isOver(entry)) model.givenUp.add(entry.id)
      model.mailboxes[peer] = entries.filter((entry) => !isOver(entry))
      if (model.here[peer]) await hear(model, real, peer)
    }
  }
)

/** Less than one step of the clock: what was sent before the last step is old. */
const OLD_MS = 15_000

const forget = command(
  'forget()',
  () => true,
  async (model, real) => {
    await real.forget(OLD_MS)
    const waits = new Set(model.mailboxes.flat().map(({ id }) => id))
    model.history = model.history.filter(({ id, sentAt }) => sentAt >= model.clock - OLD_MS || waits.has(id))
  }
)

const peer = fc.nat({ max: PEERS - 1 })

export const commands = [
  peer.map(register),
  fc.tuple(peer, fc.integer({ min: 1, max: PEERS - 1 })).map(([choice, step]) => send(choice, step)),
  fc.tuple(peer, fc.integer({ min: 1, max: PEERS - 1 })).map(([choice, step]) => send(choice, step)),
  fc.nat().map(repeat),
  fc.tuple(peer, fc.double({ min: 0, max: 0.99, noNaN: true })).map(([at, share]) => acknowledge(at, share)),
  peer.map(kill),
  fc.integer({ min: 2, max: 6 }).map((steps) => advance(steps * 10_000)),
  fc.oneof({ arbitrary: fc.constant(expire), weight: 3 }, { arbitrary: fc.constant(restart), weight: 1 }), // takes long
  fc.constant(forget)
]

const chosen = (model: Model, choice: number): ModelMessage => model.history[choice % model.history.length]!

async function sendOnce(real: Real, { id, from, to }: Omit<ModelMessage, 'sentAt'>, body = 'AAAA'): Promise<string> {
  const line = real.line(from)
  const encrypted = { ciphertext: body, nonce: 'AAAA' }
  const { type, payload } = await line.answerTo(line.send('send', { to: real.keyOf(to), encrypted, messageHash: id }))
  return type === 'error' ? `error ${payload.code}` : type
}
