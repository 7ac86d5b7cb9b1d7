// The commands over TLS: the server of the settings is trusted by its own certificate, another by --cacert, any by --insecure.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCertificate } from '../helpers/certificate.ts'
import { callCli } from '../helpers/cli.ts'
import { needs } from '../helpers/programs.ts'
import { startTestServer } from '../helpers/server.ts'

const TOKEN = 'a-token-for-tests-only'

test('commands speak https where the settings say so, and check whom they talk to', needs('openssl'), async (t) => {
  const { certFile, keyFile } = await makeCertificate(t)
  const tls = { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile }
  const server = await startTestServer(t, { ...tls, ADMIN_TOKEN: TOKEN, ADMIN_PORT: 0 })
  const { admin } = server.addresses
  assert.match(admin, /^https:/)
  const own = { ...tls, ADMIN_TOKEN: TOKEN, ADMIN_PORT: new URL(admin).port }
  for (const command of ['peers', 'status']) {
    const { code, stdout } = await callCli([command], own)
    assert.deepEqual([code, /0 peers|is ready/.test(stdout)], [0, true], command)
  }
  const stranger = { ADMIN_TOKEN: TOKEN }
  const refused = await callCli(['peers', '--url', admin], stranger)
  assert.equal(refused.code, 69)
  assert.match(refused.stderr, /See --cacert and --insecure$/m)
  assert.equal((await callCli(['peers', '--url', admin, '--insecure'], stranger)).code, 0)
  assert.equal((await callCli(['peers', '--url', admin, '--cacert', certFile], stranger)).code, 0)
  const missing = await callCli(['peers', '--url', admin, '--cacert', '/no/such/file'], stranger)
  assert.match(missing.stderr, /the certificates in \/no\/such\/file cannot be read \(ENOENT\)/)
})
