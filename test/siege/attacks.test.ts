import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openLine } from '../helpers/inbox.ts'
import { startTestServer, type TestServer } from '../helpers/server.ts'
import { type Attack, identityOf, registrationOf, SIEGE_NETWORK } from './attack.ts'
import { OWNED_NAME, PAST, SIEGE } from './attacks.ts'

/** What nobody asked for. */
const PUSHED = ['peer_joined', 'peer_left', 'peer_disconnected']
const UNBUDGETED = { WORK_PER_SOCKET: 0, WORK_PER_ADDRESS: 0, WORK_PER_IDENTITY: 0 }

test('an attack without limits meets the work that it is named after', async (t) => {
  const server = await startTestServer(t, UNBUDGETED)
  await server.addNetworks(SIEGE_NETWORK)
  await server.join(OWNED_NAME)
  const met: [name: string, answer: string | undefined][] = []
  const named: typeof met = []
  for (const [name, [attack, ...others]] of Object.entries(SIEGE)) {
    if (attack?.meets === undefined || others.length > 0 || attack.addresses > 1) continue
    named.push([name, attack.meets])
    met.push([name, await answerTo(t, server, attack, named.length)])
  }
  assert.ok(named.length > 15)
  assert.deepEqual(met, named)
})

/** Which answer the frames of a new attacker get: a type, or the code of an error. */
async function answerTo(t: TestContext, server: TestServer, attack: Attack, n: number): Promise<string> {
  const origin = server.addresses.signaling
  const attacker = { n: 2 * n, id: `attacker-${n}`, identity: await identityOf(2 * n), origin }
  const line = await openLine(t, `${origin}/${attack.protocol}`)
  const { _socket: stream } = line.ws as unknown as { _socket: NodeJS.WritableStream }
  const next = () => line.take('an answer', ({ type }) => !PUSHED.includes(type))
  if (attack.registers) {
    line.sendRaw(JSON.stringify(await registrationOf(attack, attacker)))
    assert.match((await next()).type, /^register/)
  }
  if (attack.first !== undefined) {
    stream.write(await attack.first(attacker))
    for (let stored = 0; stored < PAST; stored++) assert.equal((await next()).type, 'message_queued')
  }
  stream.write(await attack.bytes(attacker))
  const { type, payload } = await next()
  line.terminate()
  return type === 'error' ? (payload.errorType ?? payload.code) : type
}
