// relays and peers of a cluster, asked of one of them.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Bus } from '../../src/cluster/bus.ts'
import { startCluster } from '../cluster/relays.ts'
import { callCli } from '../helpers/cli.ts'
import { CLUSTER_TOKEN, startTestServer, type TestServer } from '../helpers/server.ts'

const callTo =
  ({ addresses }: TestServer) =>
  (...args: string[]) =>
    callCli([...args, '--url', addresses.http], { ADMIN_TOKEN: CLUSTER_TOKEN })

test('relays are listed, and with each peer the relay that has it; closing works for any', async (t) => {
  const { relays } = await startCluster(t, 2)
  const call = callTo(relays[0]!)
  await relays[0]!.join('alice')
  const bob = await relays[1]!.join('bob')
  const { stdout, code } = await call('relays')
  const lines = stdout.split('\n')
  assert.equal(code, 0)
  assert.match(lines[0]!, /^RELAY +ID +VERSION +STARTED +SIGNALING PEERS +L2PS PEERS +SESSIONS +BUS$/)
  assert.match(
    lines[1]!,
    /^relay-1 +[0-9a-f-]{36} +\d+\.\d+\.\d+ +(just now|\d+ seconds? ago) +1 +0 +1 +postgres +answers$/
  )
  assert.match(lines[2]!, /^relay-2 +[0-9a-f-]{36} .* +1 +0 +1 +postgres$/)
  assert.equal(lines[3], '2 relays')
  const { cluster, relays: facts } = JSON.parse((await call('relays', '--json')).stdout)
  assert.deepEqual([cluster, facts.map(({ name }: { name: string }) => name)], ['test', ['relay-1', 'relay-2']])

  const peers = (await call('peers')).stdout.split('\n')
  assert.match(peers[0]!, /^NETWORK +PEER +RELAY +SESSIONS +CAME +FROM +RECEIPT +UNRECEIPTED +BUFFERED$/)
  assert.match(peers[1]!, /^signaling +alice +relay-1 +1 /)
  assert.match(peers[2]!, /^signaling +bob +relay-2 +1 +(just now|\d+ seconds? ago) +127\.0\.0\.1 +pong /)
  const there = JSON.parse((await call('peers', '--relay', 'relay-2', '--sort=-since', '--json')).stdout)
  assert.deepEqual(
    there.peers.map(({ peer, sessions }: { peer: string; sessions: { relay: string }[] }) => [
      peer,
      sessions[0]!.relay
    ]),
    [['bob', 'relay-2']]
  )
  assert.equal((await call('peers', 'close', 'signaling', 'bob')).stdout, '1 session of bob in signaling closed.\n')
  assert.equal((await bob.closed).code, 4004)
})

test('a relay that does not answer is named, and the exit code says: try again', async (t) => {
  let isSilent = false
  const throughBus = (bus: Bus) => {
    const ask = bus.ask.bind(bus)
    bus.ask = async (...question) => (isSilent ? 'silent' : ask(...question))
    return bus
  }
  const { relays } = await startCluster(t, 2, 'postgres', {}, { throughBus })
  const call = callTo(relays[0]!)
  await relays[1]!.join('bob')
  isSilent = true
  const listed = await call('peers')
  assert.deepEqual([listed.code, /^signaling +bob +relay-2 +1, no answer$/m.test(listed.stdout)], [0, true])
  const sorted = await call('peers', '--sort', 'since')
  assert.deepEqual(
    [sorted.code, sorted.stdout, sorted.stderr],
    [75, '0 peers\n', 'demos-relay peers: no answer of relay-2: peers there are missing\n']
  )
  const closed = await call('peers', 'close', 'signaling', 'bob')
  assert.deepEqual([closed.code, closed.stdout], [75, '0 sessions of bob in signaling closed.\n'])
  assert.match(closed.stderr, /no answer of relay-2: sessions there may still be open\. Try again$/m)
})

test('a relay that is alone is the only one', async (t) => {
  const server = await startTestServer(t, { ADMIN_TOKEN: CLUSTER_TOKEN, RELAY_NAME: 'harbour' })
  const { stdout } = await callTo(server)('relays')
  assert.match(stdout, /^harbour +\d+\.\d+\.\d+ .* +0 +0 +0 +alone +answers\n1 relay\n$/m)
})
