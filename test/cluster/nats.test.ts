// NATS as operators run it: with TLS, with credentials, away at the start, and gone for a while.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from '@nats-io/nkeys'
import { makeCertificate } from '../helpers/certificate.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { startNats } from '../helpers/nats.ts'
import { needs } from '../helpers/programs.ts'
import { until } from '../helpers/wait.ts'
import { startCluster, type TestCluster } from './relays.ts'

const send = (targetId: string, message: unknown) => ({ type: 'message', payload: { targetId, message } })

async function crosses({ relays }: TestCluster): Promise<void> {
  const alice = await relays[0]!.join('alice')
  const bob = await relays[1]!.join('bob')
  const before = relays[1]!.app.cluster!.taken
  alice.send(send('bob', 'x'))
  assert.equal((await bob.next('message')).payload.message, 'x')
  assert.equal(relays[1]!.app.cluster!.taken, before + 1, 'it came by the bus')
}

const isConnected = ({ relays }: TestCluster) => relays.every(({ app }) => app.cluster!.bus!.isConnected)

test('relays speak TLS with NATS, and check whose certificate it is', needs('nats-server', 'openssl'), async (t) => {
  const [certificate, other] = [await makeCertificate(t), await makeCertificate(t)]
  const tls = `tls { cert_file: "${certificate.certFile}", key_file: "${certificate.keyFile}" }`
  const nats = await startNats(t, tls)
  const url = nats.url.replace(/^nats:/, 'tls:')
  const cluster = await startCluster(t, 2, 'postgres', { NATS_URL: url, NATS_CA_FILE: certificate.certFile })
  await until('both are connected', () => isConnected(cluster))
  await crosses(cluster)
  const wrong = await startCluster(t, 1, 'postgres', { NATS_URL: url, NATS_CA_FILE: other.certFile })
  assert.equal(isConnected(wrong), false)
})

test('relays show their credentials to NATS', needs('nats-server'), async (t) => {
  const { config, credentials } = await operatorMode(await temporaryDirectory(t))
  const nats = await startNats(t, config)
  const settings = { NATS_URL: nats.url, NATS_CREDS_FILE: credentials }
  const cluster = await startCluster(t, 2, 'postgres', settings)
  await until('both are connected', () => isConnected(cluster))
  await crosses(cluster)
  const stranger = await startCluster(t, 1, 'postgres', { NATS_URL: nats.url })
  assert.equal(isConnected(stranger), false)
})

test(
  'NATS may be away at the start; messages cross all the same, and by the bus once it is there',
  needs('nats-server'),
  async (t) => {
    const nats = await startNats(t)
    await nats.kill()
    const cluster = await startCluster(t, 2, 'postgres', { NATS_URL: nats.url })
    const { relays } = cluster
    const alice = await relays[0]!.join('early alice')
    const bob = await relays[1]!.join('early bob')
    alice.send(send('early bob', 'by a look'))
    assert.equal((await bob.next('message')).payload.message, 'by a look')
    await nats.start()
    await until('both are connected', () => isConnected(cluster), 10_000)
    await until('nothing is owed', () => relays.every(({ app }) => !app.cluster!.missed.owesLook))
    await crosses(cluster)
  }
)

/** What `nsc` makes: an operator, an account, and a user's credentials (JWTs signed by nkeys). */
async function operatorMode(directory: string): Promise<{ config: string; credentials: string }> {
  const [operator, account, user] = [createOperator(), createAccount(), createUser()]
  const accountJwt = jwt(operator, account, 'account', { limits: NO_LIMITS })
  const userJwt = jwt(account, user, 'user', { subs: -1, data: -1, payload: -1 })
  const seed = new TextDecoder().decode(user.getSeed())
  const credentials = join(directory, 'relay.creds')
  await writeFile(
    credentials,
    `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n\n` +
      `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------\n`,
    { mode: 0o600 }
  )
  const config = [
    `operator: ${jwt(operator, operator, 'operator', {})}`,
    'resolver: MEMORY',
    `resolver_preload: { ${account.getPublicKey()}: ${accountJwt} }`
  ].join('\n')
  return { config, credentials }
}

const NO_LIMITS = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 }

function jwt(issuer: KeyPair, subject: KeyPair, type: string, facts: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = {
    ...{
      jti: randomUUID(),
      iat: Math.floor(Date.now() / 1_000),
      iss: issuer.getPublicKey(),
      sub: subject.getPublicKey()
    },
    ...{ name: type, nats: { ...facts, type, version: 2 } }
  }
  const signed = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(claims)}`
  const signer = fromSeed(issuer.getSeed())
  return `${signed}.${Buffer.from(signer.sign(new TextEncoder().encode(signed))).toString('base64url')}`
}
