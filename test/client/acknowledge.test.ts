// A message counts as received when the application's handler has resolved: both protocols, on the real server.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createIdentity } from '../../client/src/identity.ts'
import { createL2psClient } from '../../client/src/l2ps.ts'
import { openTextFromSubnet, sealForSubnet } from '../../client/src/sealed.ts'
import { createSignalingClient } from '../../client/src/signaling.ts'
import { startTcpProxy } from '../helpers/proxy.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'
import { next } from './waits.ts'

const quick = { firstDelayMs: 5, maximumDelayMs: 20, jitter: 0 }
const subnetKey = new Uint8Array(32).fill(7)

interface Pair {
  server: TestServer
  say(text: string): Promise<unknown>
  /** Bob, who handles texts; `cut` resets his connections. */
  bob(handle: (text: string) => void | Promise<void>): Promise<{
    client: { close(): Promise<void>; connect(): Promise<void> }
    errors: Error[]
    cut(): void
    reconnected(): Promise<unknown>
  }>
}

async function overSignaling(t: TestContext): Promise<Pair> {
  const server = await startTestServer(t)
  const [ours, bobs] = await Promise.all([createIdentity({ algorithm: 'ed25519' }), createIdentity()])
  const alice = createSignalingClient({ url: server.addresses.signaling, clientId: 'alice', identity: ours })
  t.after(() => alice.close())
  await alice.connect()
  return {
    server,
    say: (text) => alice.sendConfirmed('bob', text),
    bob: async (handle) => {
      const { url, reset } = await startTcpProxy(t, server.addresses.signaling)
      const onMessage = async ({ text }: { text?: string }) => handle(text ?? '')
      const client = createSignalingClient({ url, clientId: 'bob', identity: bobs, reconnect: quick, onMessage })
      t.after(() => client.close())
      const errors: Error[] = []
      client.events.on('error', ({ error }) => void errors.push(error))
      await client.connect()
      return { client, errors, cut: reset, reconnected: () => next(client.events, 'connected') }
    }
  }
}

async function inL2ps(t: TestContext): Promise<Pair> {
  const server = await startTestServer(t)
  await server.addNetworks('net')
  const url = server.addresses.l2ps!
  const [ours, bobs] = await Promise.all([createIdentity({ algorithm: 'ed25519' }), createIdentity()])
  const alice = createL2psClient({ url, l2psUid: 'net', signer: ours })
  t.after(() => alice.close())
  await alice.connect()
  let bobsKey = ''
  return {
    server,
    say: async (text) => alice.send(bobsKey, await sealForSubnet(text, subnetKey)),
    bob: async (handle) => {
      const proxy = await startTcpProxy(t, url)
      const client = createL2psClient({
        url: proxy.url,
        l2psUid: 'net',
        signer: bobs,
        reconnect: quick,
        onMessage: async ({ encrypted }) => handle(await openTextFromSubnet(encrypted, subnetKey))
      })
      t.after(() => client.close())
      bobsKey = client.publicKey
      const errors: Error[] = []
      client.events.on('error', ({ error }) => void errors.push(error))
      await client.connect()
      return { client, errors, cut: proxy.reset, reconnected: () => next(client.events, 'connected') }
    }
  }
}

for (const [name, pair] of [
  ['signaling', overSignaling],
  ['L2PS', inL2ps]
] as const) {
  test(`${name}: until its handler resolves a message stays with the server, and a copy is handled once`, async (t) => {
    const { server, say, bob } = await pair(t)
    const handled: string[] = []
    let finish = () => {}
    const finished = new Promise<void>((resolve) => {
      finish = resolve
    })
    const { cut, reconnected } = await bob(async (text) => {
      handled.push(text)
      await finished
    })
    for (const text of ['1', '2', '3']) await say(text)
    await until('the first is being handled', () => handled.length === 1)
    const back = reconnected()
    cut()
    await back
    const { sql } = server.app.database
    assert.equal((await sql`select count(*)::int as left from queue_entry`)[0]!.left, 3)
    finish()
    await server.emptied()
    assert.deepEqual(handled, ['1', '2', '3'])
  })

  test(`${name}: an application that ends while it handles a message gets it again`, async (t) => {
    const { server, say, bob } = await pair(t)
    const first: string[] = []
    const { client } = await bob((text) => {
      first.push(text)
      return first.length === 2 ? new Promise<void>(() => {}) : undefined
    })
    for (const text of ['1', '2', '3']) await say(text)
    await until('the second is being handled', () => first.length === 2)
    void client.close() // its handler never ends
    const second: string[] = []
    await until('the first session is gone', async () => {
      const { sql } = server.app.database
      return (await sql`select count(*)::int as left from queue_entry`)[0]!.left === 2
    })
    await until('bob is back', () =>
      bob((text) => void second.push(text)).then(
        () => true,
        () => false
      )
    )
    await server.emptied()
    assert.deepEqual(
      [first, second],
      [
        ['1', '2'],
        ['2', '3']
      ]
    )
  })

  test(`${name}: a handler that rejects is called again for the same message, before any later one`, async (t) => {
    const { server, say, bob } = await pair(t)
    const handled: string[] = []
    const { errors } = await bob((text) => {
      handled.push(text)
      if (handled.length === 1) throw new Error('no room for it')
    })
    for (const text of ['1', '2']) await say(text)
    await server.emptied()
    assert.deepEqual(handled, ['1', '1', '2'])
    assert.deepEqual(
      errors.map(({ message }) => message),
      ['no room for it']
    )
  })
}
