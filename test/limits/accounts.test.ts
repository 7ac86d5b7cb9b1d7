// Budgets by a clock of the test: who notices them, and who does not.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../src/config/read.ts'
import { Accounts, type Meter } from '../../src/limits/accounts.ts'

const { WORK_PER_SOCKET, WORK_PER_ADDRESS, WORK_PER_IDENTITY } = readConfig({}).config!
const DEFAULTS = { socket: WORK_PER_SOCKET, address: WORK_PER_ADDRESS, identity: WORK_PER_IDENTITY, network: 0 }

function accounts(rates = DEFAULTS) {
  const time = { now: 0 }
  return { time, accounts: new Accounts(rates, () => time.now) }
}

/** A phone or bot opens a socket and registers. */
function join(all: Accounts, address: string, peer: string): Meter {
  const meter = all.meter(address)
  frame(meter, 13)
  meter.pay('registration')
  meter.pay('signature')
  meter.register(all.ofMember('signaling', peer))
  return meter
}

function frame(meter: Meter, kilobytes: number): void {
  meter.pay('received', kilobytes)
  meter.pay('frame')
}

function message(meter: Meter, kilobytes: number): void {
  frame(meter, kilobytes)
  meter.pay('stored', kilobytes)
}

test('a bot that sends 500 messages a second, evenly or each second at once, never notices', () => {
  for (const perStep of [1, 500]) {
    const { time, accounts: all } = accounts()
    const bot = join(all, '192.0.2.1', 'bot')
    for (let sent = 0; sent < 60 * 500; sent += perStep) {
      for (let n = 0; n < perStep; n++) message(bot, 4)
      assert.equal(bot.overdrawn(), undefined)
      time.now += perStep * 2
    }
  }
})

test('a NAT with 500 phones, all of which come at once and then talk, never notices', () => {
  const { time, accounts: all } = accounts()
  const phones = Array.from({ length: 500 }, (_, n) => join(all, '192.0.2.1', `phone-${n}`))
  for (const phone of phones) assert.equal(phone.overdrawn(), undefined)
  for (let second = 0; second < 120; second++) {
    for (const phone of phones) {
      message(phone, 4)
      frame(phone, 1)
      phone.pay('query')
      phone.pay('answered', 4)
      phone.pay('control')
    }
    time.now += 1_000
    for (const phone of phones) assert.equal(phone.overdrawn(), undefined)
  }
})

test('a socket that asks for too much waits, and goes on when its budget has filled', () => {
  const { time, accounts: all } = accounts()
  const flood = join(all, '192.0.2.1', 'flood')
  for (let n = 0; n < 100_000; n++) flood.pay('control')
  const { ms, why } = flood.overdrawn()!
  assert.equal(why, 'own')
  time.now += ms + 1
  assert.notEqual(flood.overdrawn()?.why, 'own')
})

test('neighbours that use up the budget of their address do not take what each socket is assured', () => {
  const { time, accounts: all } = accounts()
  const quiet = join(all, '2001:db8::1', 'quiet')
  time.now += 10_000
  const floods = Array.from({ length: 20 }, (_, n) => join(all, `2001:db8::2:${n}`, `flood-${n}`))
  for (let n = 0; n < 10_000; n++) for (const flood of floods) flood.pay('control')
  assert.equal(floods[0]!.overdrawn()?.why, 'shared')
  for (let n = 0; n < 60; n++) {
    message(quiet, 0.5)
    assert.equal(quiet.overdrawn(), undefined)
    time.now += 50
  }
  assert.equal(join(all, '192.0.2.9', 'elsewhere').overdrawn(), undefined)
})

test('connections that register one after the other wait; registered neighbours and other addresses do not', () => {
  const { accounts: all } = accounts()
  const neighbour = join(all, '192.0.2.1', 'neighbour')
  let arrived = 0
  while (arrived < 20_000 && all.meter('192.0.2.1').overdrawn() === undefined) {
    join(all, '192.0.2.1', `name-${arrived}`)
    arrived += 1
  }
  assert.ok(arrived >= 500 && arrived < 2_000, `${arrived} arrived`)
  message(neighbour, 100)
  assert.equal(neighbour.overdrawn(), undefined)
  assert.equal(all.meter('192.0.2.2').overdrawn(), undefined)
})

test('a registration is served before those who ask for much; who asks for more before it comes last', () => {
  const { accounts: all } = accounts()
  const stranger = all.meter('192.0.2.1')
  frame(stranger, 30)
  stranger.pay('signature')
  stranger.pay('registration')
  assert.equal(stranger.rank, 'visitor')
  for (let n = 0; n < 5; n++) stranger.pay('refused')
  assert.equal(stranger.rank, 'stranger')
  const peer = join(all, '192.0.2.1', 'peer')
  assert.equal(peer.rank, 'quiet')
  for (let n = 0; n < 400; n++) frame(peer, 0)
  assert.equal(peer.rank, 'noisy')
})

test('who has just registered is among the quiet ones only for the first few frames, and for more a moment later', () => {
  const { time, accounts: all } = accounts()
  const talk = (meter: Meter) => {
    let frames = 0
    for (; meter.rank === 'quiet'; frames++) frame(meter, 0)
    return frames
  }
  const early = talk(join(all, '192.0.2.1', 'early'))
  const late = join(all, '192.0.2.2', 'late')
  time.now += 5_000
  assert.ok(early <= 20 && talk(late) > 300, `${early} frames`)
})

test('only who has asked for little for seconds is quiet for long, not a noisy one that was held back for a moment', () => {
  const { time, accounts: all } = accounts()
  const [quiet, noisy] = [join(all, '192.0.2.1', 'quiet'), join(all, '192.0.2.2', 'noisy')]
  assert.equal(quiet.isLongQuiet, false)
  for (let second = 0; second < 10; second++) {
    for (let n = 0; n < 20; n++) message(quiet, 0.5)
    for (let n = 0; n < 200; n++) message(noisy, 0.5)
    time.now += 1_000
  }
  assert.deepEqual([quiet.isLongQuiet, noisy.isLongQuiet], [true, false])
  while (noisy.rank !== 'quiet') time.now += 100
  assert.equal(noisy.isLongQuiet, false)
})

test('where networks have a budget, those who flood in one of them slow each other down, and no quiet socket', () => {
  const { accounts: all } = accounts({ socket: 0, address: 0, identity: 0, network: 100_000 })
  const floods = ['192.0.2.1', '192.0.2.2'].map((address, n) => join(all, address, `flood-${n}`))
  const quiet = join(all, '192.0.2.3', 'quiet')
  for (let n = 0; n < 12_000; n++) for (const flood of floods) frame(flood, 0)
  assert.deepEqual(
    floods.map((flood) => flood.overdrawn()?.why),
    ['shared', 'shared']
  )
  assert.equal(quiet.overdrawn(), undefined)
})

test('a rate of 0 is no limit', () => {
  const { accounts: all } = accounts({ socket: 0, address: 0, identity: 0, network: 0 })
  const meter = join(all, '192.0.2.1', 'anybody')
  for (let n = 0; n < 1_000_000; n++) meter.pay('control')
  assert.equal(meter.overdrawn(), undefined)
})

test('requests of an address that asks now and then are visitors, those of one that floods noisy, whatever connections they use', () => {
  const { time, accounts: all } = accounts()
  const probe = all.requestMeter('192.0.2.1')
  for (let second = 0; second < 60; second++) {
    for (let n = 0; n < 5; n++) probe.pay('request')
    probe.pay('answered', 40)
    time.now += 1_000
    assert.equal(probe.rank, 'visitor')
  }
  for (let n = 0; n < 101; n++) all.requestMeter('192.0.2.2').pay('request')
  assert.deepEqual([all.requestMeter('192.0.2.2').rank, probe.rank], ['noisy', 'visitor'])
  time.now += 11_000
  assert.equal(all.requestMeter('192.0.2.2').rank, 'visitor')
})

test('a connection is read more slowly for its own requests, not for those of others', () => {
  const { accounts: all } = accounts()
  const [flood, other] = [all.requestMeter('192.0.2.1'), all.requestMeter('192.0.2.1')]
  for (let n = 0; n < 3_000; n++) flood.pay('request')
  assert.equal(flood.overdrawn()?.why, 'own')
  assert.equal(other.overdrawn(), undefined)
})
