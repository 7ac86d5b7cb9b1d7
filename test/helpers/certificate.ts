import { execFile } from 'node:child_process'
import { copyFile, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Scope } from './at-end.ts'
import { temporaryDirectory } from './database.ts'

const run = promisify(execFile)

export interface TestCertificate {
  readonly certFile: string
  readonly keyFile: string
  /** The certificate itself: it is its own authority. */
  readonly pem: string
}

/** A certificate for 127.0.0.1, signed by itself, and its key. For tests that need `openssl`. */
export async function makeCertificate(t: Scope, name = 'relay.example', days = 2): Promise<TestCertificate> {
  const directory = await temporaryDirectory(t)
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', String(days)],
    ...['-keyout', keyFile, '-out', certFile]
  ])
  return { certFile, keyFile, pem: await readFile(certFile, 'utf8') }
}

/** Puts one file in the place of another at once, as renewal programs do. */
export async function replaceFile(target: string, source: string): Promise<void> {
  await copyFile(source, `${target}.new`)
  await rename(`${target}.new`, target)
}
