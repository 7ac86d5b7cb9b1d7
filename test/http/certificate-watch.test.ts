import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { readCertificate } from '../../src/http/tls/certificate.ts'
import { CertificateWatch } from '../../src/http/tls/certificate-watch.ts'
import { makeCertificate, replaceFile } from '../helpers/certificate.ts'
import { needs } from '../helpers/programs.ts'

test('a broken pair is told at its second poll and not again until a whole one came', needs('openssl'), async (t) => {
  const [files, other] = [await makeCertificate(t), await makeCertificate(t)]
  const told: string[] = []
  const watch = new CertificateWatch(files, await readCertificate(files), {
    renewed: ({ context }) => told.push(context.cert === other.pem ? 'renewed' : 'changed otherwise'),
    broken: ({ message }) => told.push(message)
  })
  watch.stop() // from here on it looks when it is told to

  await watch.poll()
  assert.deepEqual(told, [], 'nothing changed')
  await writeFile(files.keyFile, '')
  await watch.poll()
  assert.deepEqual(told, [], 'a renewal may be half written')
  await watch.poll()
  const noKey = 'TLS_KEY_FILE holds no private key in PEM without a passphrase.'
  assert.deepEqual(told.splice(0), [noKey])
  await replaceFile(files.certFile, other.certFile)
  await watch.poll()
  assert.deepEqual(told, [], 'still broken, in whatever way')

  await replaceFile(files.keyFile, other.keyFile)
  await watch.poll()
  assert.deepEqual(told.splice(0), ['renewed'])
  await writeFile(files.keyFile, '')
  await watch.poll()
  await watch.poll()
  assert.deepEqual(told, [noKey])
})
