// HAProxy in front of a cluster, with the file of docker-compose.cluster.yml: relays come, go, and are not ready.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get } from 'node:http'
import { type TestContext, test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { createSignalingClient, type SignalingClient } from '../../client/src/index.ts'
import { BUSES } from '../cluster/relays.ts'
import { openL2psPeer, sendFrame } from '../helpers/l2ps-peer.ts'
import { startNats } from '../helpers/nats.ts'
import { openPeer } from '../helpers/peer.ts'
import { needs } from '../helpers/programs.ts'
import type { TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { type Balanced, startBalanced } from './balancer.ts'

const program = needs('haproxy')

const isAt = ({ app }: TestServer, peer: string) => app.presence.sessions('signaling', peer).length > 0
const socketsAt = ({ app }: TestServer) => [...app.sessions.all()].length

/** Opens sockets until every relay has one: HAProxy has found all of them. */
async function reachAll(t: TestContext, { cluster, signaling }: Balanced): Promise<void> {
  await until('every relay has a socket', async () => {
    await openPeer(t, signaling)
    return cluster.relays.every((relay) => socketsAt(relay) > 0)
  })
}

async function joinBy(t: TestContext, { signaling: url }: Balanced, clientId: string): Promise<SignalingClient> {
  const identity = await createIdentity({ algorithm: 'ed25519' })
  const client = createSignalingClient({
    url,
    clientId,
    identity,
    reconnect: { firstDelayMs: 50, maximumDelayMs: 500 }
  })
  t.after(() => client.close())
  await client.connect()
  return client
}

/** The relay where a peer is now, and the other one. */
function relaysOf({ relays }: Balanced['cluster'], peer: string): { here: TestServer; other: TestServer } {
  const here = relays.find((relay) => isAt(relay, peer))
  assert.ok(here, `${peer} is nowhere`)
  return { here, other: relays.find((relay) => relay !== here)! }
}

test('clients of a relay that is stopped move to the other one and get what was sent meanwhile', program, async (t) => {
  const balanced = await startBalanced(t, 2)
  await reachAll(t, balanced)
  const [alice, bob] = [await joinBy(t, balanced, 'alice'), await joinBy(t, balanced, 'bob')]
  const heard: string[] = []
  bob.events.on('message', ({ text }) => heard.push(text!))
  for (let n = 0; n < 10; n++) await alice.send('bob', `before ${n}`)
  await until('bob has heard them', () => heard.length === 10)

  const { here, other } = relaysOf(balanced.cluster, 'bob')
  const stopped = here.close()
  await until('bob is at the other relay', () => isAt(other, 'bob'))
  for (let n = 0; n < 10; n++) await alice.send('bob', `after ${n}`)
  await until('bob has heard the rest', () => heard.length >= 20)
  await stopped
  const sent = ['before', 'after'].flatMap((when) => Array.from({ length: 10 }, (_, n) => `${when} ${n}`))
  assert.deepEqual(heard, sent)
  await until('alice is there, too', () => isAt(other, 'alice'))
})

for (const bus of BUSES) {
  const programs = bus === 'nats' ? needs('haproxy', 'nats-server') : program
  test(
    `clients of a relay that is killed are back at another one, under their own names (${bus})`,
    programs,
    async (t) => {
      const settings = bus === 'nats' ? { NATS_URL: (await startNats(t)).url } : {}
      const balanced = await startBalanced(t, 1, settings)
      const [left] = balanced.cluster.relays as [TestServer]
      const alice = await joinBy(t, balanced, 'alice')
      const killed = await balanced.spawn()
      const others: SignalingClient[] = []
      await until('some clients are at the relay that will be killed', async () => {
        others.push(await joinBy(t, balanced, `bob ${others.length}`))
        return others.filter(({ clientId }) => !isAt(left, clientId)).length >= 5
      })
      const heard = new Map(others.map(({ clientId }) => [clientId, [] as string[]]))
      for (const { clientId, events } of others) events.on('message', ({ text }) => heard.get(clientId)!.push(text!))

      killed.kill('SIGKILL')
      const since = performance.now()
      for (const { clientId } of others) await alice.send(clientId, 'after')
      await until('everybody is back', () => others.every(({ clientId }) => isAt(left, clientId)))
      t.diagnostic(`everybody was back after ${Math.round(performance.now() - since)} ms`)
      await until('everybody has heard it', () => [...heard.values()].every((texts) => texts.length >= 1))
      for (const texts of heard.values()) assert.deepEqual(texts, ['after'])
    }
  )
}

test(
  'a relay that is not ready keeps its sockets and gets no new ones; one that is added gets some',
  program,
  async (t) => {
    const balanced = await startBalanced(t, 2)
    await reachAll(t, balanced)
    const [alice, bob] = [await joinBy(t, balanced, 'alice'), await joinBy(t, balanced, 'bob')]
    const { here, other } = relaysOf(balanced.cluster, 'bob')
    let isReady = false
    here.app.readiness.addCheck('test', async () => (isReady ? undefined : 'not ready'))
    await until('sockets go to the other relay alone', async () => {
      const before = socketsAt(here)
      for (let n = 0; n < 4; n++) await openPeer(t, balanced.signaling)
      return socketsAt(here) === before
    })
    const heard = new Promise<string>((resolve) => bob.events.on('message', ({ text }) => resolve(text!)))
    await alice.send('bob', 'still there')
    assert.equal(await heard, 'still there')
    assert.ok(isAt(here, 'bob'), 'the socket was kept')

    const third = await balanced.add()
    await until('the third relay has sockets', async () => {
      await openPeer(t, balanced.signaling)
      return socketsAt(third) > 0
    })
    isReady = true
    const before = socketsAt(here)
    await until('the relay is ready again', async () => {
      await openPeer(t, balanced.signaling)
      return socketsAt(here) > before
    })
    assert.ok(socketsAt(other) > 0)
  }
)

/** How HAProxy answers somebody at `localAddress`. */
async function statusFor(url: string, path: string, localAddress = '127.0.0.1'): Promise<number> {
  const request = get(`${url}${path}`, { localAddress })
  const [response] = await once(request, 'response')
  response.resume()
  return response.statusCode
}

test('L2PS has a listener and a path; the administration is for its own listener alone', program, async (t) => {
  const balanced = await startBalanced(t, 2)
  const [first, second] = balanced.cluster.relays
  await first!.addNetworks('net')
  await second!.app.networks.refresh()
  const alice = await openL2psPeer(t, balanced.l2ps)
  await alice.register('net')
  const bob = await openL2psPeer(t, `${balanced.signaling}/l2ps`)
  await bob.register('net')
  alice.send('send', sendFrame(bob.key).payload as object)
  await bob.next('message')

  const open = balanced.signaling.replace('ws', 'http')
  assert.equal(await statusFor(open, '/health/live'), 200)
  for (const path of ['/metrics', '/admin/stats', '/health/ready', '/console/', '/docs', '/audit/../metrics']) {
    assert.ok([403, 404].includes(await statusFor(open, path)), path)
  }
  assert.equal(await statusFor(balanced.admin, '/metrics'), 200)
  assert.equal(await statusFor(balanced.admin, '/admin/stats'), 401)

  const headers = { 'x-forwarded-for': '203.0.113.9', forwarded: 'for=203.0.113.9' }
  const waiting = await openPeer(t, balanced.signaling, { localAddress: '127.0.0.77', headers })
  const addresses = balanced.cluster.relays.flatMap(({ app }) => [...app.sessions.all()].map(({ address }) => address))
  assert.ok(addresses.includes('127.0.0.77'), 'the address of the client, whatever it claims')
  await waiting.close()
})
