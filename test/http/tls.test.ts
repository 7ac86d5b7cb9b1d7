import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFile } from 'node:fs/promises'
import { get } from 'node:https'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect as connectByTls } from 'node:tls'
import { banner, serverFacts } from '../../src/cli/banner.ts'
import { checkHealth } from '../../src/cli/serve.ts'
import { readConfig } from '../../src/config/read.ts'
import { makeCertificate, replaceFile, type TestCertificate } from '../helpers/certificate.ts'
import { openL2psPeer } from '../helpers/l2ps-peer.ts'
import { logLines } from '../helpers/log-lines.ts'
import { openPeer } from '../helpers/peer.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer } from '../helpers/server.ts'

const withOpenssl = needs('openssl')

const settingsOf = ({ certFile, keyFile }: TestCertificate) => ({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile })

/** Whom the door shows itself as in a handshake that is made now. */
async function nameAt(address: string, options: ConnectionOptions = {}): Promise<string> {
  const { hostname, port } = new URL(address)
  const socket = connectByTls({ host: hostname, port: Number(port), rejectUnauthorized: false, ...options })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return String(CN)
}

async function readySays(address: string, ca: string): Promise<{ doors: Record<string, string> }> {
  const [response] = await once(get(`${address}/health/ready`, { ca }), 'response')
  return JSON.parse((await response.setEncoding('utf8').toArray()).join(''))
}

/** What the server says to somebody who speaks something else than TLS, until it hangs up. */
async function answerTo(address: string, words: string): Promise<string> {
  const socket = connect(Number(new URL(address).port), '127.0.0.1')
  socket.on('error', () => {}) // a reset is a way of hanging up
  let heard = ''
  socket.on('data', (data) => (heard += data.toString('latin1')))
  socket.write(words)
  await once(socket, 'close')
  return heard
}

test('with a certificate both listeners speak wss and https, and say so everywhere', withOpenssl, async (t) => {
  const certificate = await makeCertificate(t)
  const server = await startTestServer(t, settingsOf(certificate))
  const { addresses } = server
  const ca = certificate.pem
  assert.match(addresses.signaling, /^wss:/)
  assert.match(addresses.l2ps!, /^wss:/)
  const [alice, bob] = [await openPeer(t, addresses.signaling, { ca }), await openPeer(t, addresses.signaling, { ca })]
  await alice.register('alice')
  await bob.register('bob')
  alice.send({ type: 'message', payload: { targetId: 'bob', message: 'over TLS' } })
  assert.equal((await bob.next('message')).payload.message, 'over TLS')
  await server.emptied()

  await server.addNetworks('net')
  const carol = await openL2psPeer(t, addresses.l2ps!, { ca }) // at `/`: the door decides what is spoken
  await carol.register('net')

  const { doors } = await readySays(addresses.http, ca)
  assert.deepEqual(doors, { signaling: addresses.signaling, l2ps: addresses.l2ps })
  const { config } = readConfig({ RPC_SIGNALING_PORT: new URL(addresses.http).port, ...settingsOf(certificate) })
  const text = banner(serverFacts(config!, addresses, '1.2.3'), { colours: false })
  assert.match(text, /signaling +wss:\/\/[\s\S]+l2ps +wss:\/\/[\s\S]+health +https:\/\//)
  assert.equal(await checkHealth(config!), undefined)
})

test('new connections see a renewed certificate without a restart, and old sockets live on', withOpenssl, async (t) => {
  const [first, second] = [await makeCertificate(t, 'first.example'), await makeCertificate(t, 'second.example')]
  const log = logLines()
  const server = await startTestServer(t, settingsOf(first), { logger: log.logger })
  const { signaling, l2ps } = server.addresses
  const alice = await openPeer(t, signaling, { ca: first.pem })
  await alice.register('alice')

  await replaceFile(first.certFile, second.certFile)
  await replaceFile(first.keyFile, second.keyFile)
  await log.line('TLS certificate renewed')

  for (const door of [signaling, l2ps!]) assert.equal(await nameAt(door), 'second.example')
  await assert.rejects(openPeer(t, signaling, { ca: first.pem }), /self-signed/)
  await openPeer(t, signaling, { ca: second.pem })
  await alice.nothingMore() // on the socket of before
})

test(
  'a pair that does not fit keeps the old certificate and is told once; whole again, it counts',
  withOpenssl,
  async (t) => {
    const [first, second] = [await makeCertificate(t, 'first.example'), await makeCertificate(t, 'second.example')]
    const log = logLines()
    const server = await startTestServer(t, settingsOf(first), { logger: log.logger })
    const door = server.addresses.signaling
    const broken = 'TLS certificate not renewed: the old one is kept'

    await replaceFile(first.certFile, second.certFile) // and not the key
    const { reason } = await log.line(broken)
    assert.equal(reason, 'TLS_KEY_FILE is not the key of the certificate in TLS_CERT_FILE.')
    assert.equal(await nameAt(door), 'first.example')
    await replaceFile(first.keyFile, second.keyFile)
    await log.line('TLS certificate renewed')
    assert.equal(await nameAt(door), 'second.example')
    assert.equal(log.count(broken), 1)
  }
)

test(
  'a certificate that has expired is served, with a warning; a metric tells when one does',
  withOpenssl,
  async (t) => {
    const certificate = await makeCertificate(t)
    const log = logLines()
    const now = () => Date.now() + 3 * 86_400_000
    const server = await startTestServer(t, settingsOf(certificate), { logger: log.logger, now })
    assert.equal((await log.line('TLS certificate read: it has expired')).level, 'warn')
    const name = 'demos_relay_tls_certificate_expiry_timestamp_seconds'
    const metric = (await server.app.metrics.text()).split('\n').find((line) => line.startsWith(`${name} `))
    const seconds = Number(metric?.split(' ').at(-1))
    assert.ok(Math.abs(seconds - Date.now() / 1_000 - 2 * 86_400) < 3_600, metric)
  }
)

test('TLS before 1.2 is refused', withOpenssl, async (t) => {
  const { addresses } = await startTestServer(t, settingsOf(await makeCertificate(t)))
  const upTo = (maxVersion: 'TLSv1.1' | 'TLSv1.2') => ({
    minVersion: 'TLSv1' as const,
    maxVersion,
    ciphers: 'DEFAULT@SECLEVEL=0'
  })
  for (const door of [addresses.signaling, addresses.l2ps!]) {
    await assert.rejects(nameAt(door, upTo('TLSv1.1')), /protocol version/i)
    await nameAt(door, upTo('TLSv1.2'))
  }
})

test('of TLS 1.2 neither RSA key exchange nor CBC is taken', withOpenssl, async (t) => {
  const { addresses } = await startTestServer(t, settingsOf(await makeCertificate(t)))
  const only = (ciphers: string) => ({ maxVersion: 'TLSv1.2' as const, ciphers: `${ciphers}:@SECLEVEL=0` })
  for (const door of [addresses.signaling, addresses.l2ps!]) {
    for (const ciphers of ['AES128-GCM-SHA256', 'AES256-SHA', 'ECDHE-RSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384']) {
      await assert.rejects(nameAt(door, only(ciphers)), /handshake failure/i, ciphers)
    }
    await nameAt(door, only('ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256'))
  }
})

test('plain HTTP and rubbish on a TLS port end the connection, and others do not notice', withOpenssl, async (t) => {
  const certificate = await makeCertificate(t)
  const server = await startTestServer(t, settingsOf(certificate))
  const alice = await openPeer(t, server.addresses.signaling, { ca: certificate.pem })
  await alice.register('alice')
  for (const door of [server.addresses.signaling, server.addresses.l2ps!]) {
    for (const words of ['GET / HTTP/1.1\r\nHost: relay\r\n\r\n', '\0'.repeat(64), '\x16\x03\x01\xff\xff']) {
      assert.doesNotMatch(await answerTo(door, words), /demos-relay|WebSocket|uptime/)
    }
    await assert.rejects(openPeer(t, door.replace(/^wss/, 'ws')))
  }
  await alice.nothingMore()
})

test('a start with files that do not fit names the setting and the reason', withOpenssl, async (t: TestContext) => {
  const [one, other] = [await makeCertificate(t), await makeCertificate(t)]
  const refused = async (certFile: string, keyFile: string, words: string) =>
    assert.rejects(startTestServer(t, { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }), {
      name: 'ListenError',
      message: words
    })
  await refused(one.certFile, other.keyFile, 'TLS_KEY_FILE is not the key of the certificate in TLS_CERT_FILE.')
  await refused(one.keyFile, one.keyFile, 'TLS_CERT_FILE holds no certificate in PEM.')
  await refused(one.certFile, one.certFile, 'TLS_KEY_FILE holds no private key in PEM without a passphrase.')
  await refused(one.certFile, `${one.keyFile}.missing`, 'TLS_KEY_FILE must name a readable file (ENOENT).')
  const both = 'TLS_CERT_FILE must name a readable file (ENOENT). TLS_KEY_FILE must name a readable file (EISDIR).'
  await refused('/nowhere/cert.pem', '/tmp', both)
  await appendFile(one.certFile, '-----BEGIN CERTIFICATE-----\nrubbish\n-----END CERTIFICATE-----\n')
  await assert.rejects(startTestServer(t, settingsOf(one)), /TLS refuses the certificate in TLS_CERT_FILE \(ERR_/)
})
