// The TLS certificate of the listeners and its key: read from files, and refused in words when unfit to serve.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, type SecureContextOptions } from 'node:tls'
import type { Config } from '../../config/schema.ts'
import { ListenError } from '../listener.ts'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface Certificate {
  /** The options of a TLS server, at its start and when the files have changed. */
  readonly context: SecureContextOptions
  /** When it ends, in ms since 1970. */
  readonly expiresAt: number
}

/** The files of the configuration; undefined: the listeners speak without TLS. */
export function certificateFiles({ TLS_CERT_FILE, TLS_KEY_FILE }: Config): CertificateFiles | undefined {
  if (TLS_CERT_FILE === undefined || TLS_KEY_FILE === undefined) return undefined
  return { certFile: TLS_CERT_FILE, keyFile: TLS_KEY_FILE }
}

/** Reads the pair. Rejects with a ListenError that names the setting at fault, never with the contents of a file. */
export async function readCertificate(files: CertificateFiles): Promise<Certificate> {
  const [cert, key] = await readPair(files)
  return certificateOf(cert, key)
}

/** The error that a start with these settings would end with because of the certificate; undefined: none. */
export async function certificateMistake(config: Config): Promise<string | undefined> {
  const files = certificateFiles(config)
  if (files === undefined) return undefined
  try {
    await readCertificate(files)
    return undefined
  } catch (error) {
    return (error as ListenError).message
  }
}

/** Throws a ListenError that names each file it cannot read. */
export async function readPair({ certFile, keyFile }: CertificateFiles): Promise<[cert: string, key: string]> {
  const [cert, key] = await Promise.allSettled([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')])
  if (cert.status === 'fulfilled' && key.status === 'fulfilled') return [cert.value, key.value]
  const mistakes = [unread('TLS_CERT_FILE', cert), unread('TLS_KEY_FILE', key)].flat()
  throw new ListenError(mistakes.join(' '))
}

const unread = (setting: string, result: PromiseSettledResult<string>): string[] =>
  result.status === 'fulfilled' ? [] : [`${setting} must name a readable file (${reasonOf(result.reason)}).`]

/** Of TLS 1.2 only what agrees on a key of its own for each connection, and authenticates what it encrypts. */
const CIPHERS = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ...['ECDHE-RSA-CHACHA20-POLY1305', 'ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256']
].join(':')

/** Throws a ListenError unless the two belong together and TLS takes them. */
export function certificateOf(cert: string, key: string): Certificate {
  const leaf = leafOf(cert)
  if (!leaf.checkPrivateKey(privateKeyOf(key))) {
    throw new ListenError('TLS_KEY_FILE is not the key of the certificate in TLS_CERT_FILE.')
  }
  const context: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2', ciphers: CIPHERS }
  try {
    createSecureContext(context)
  } catch (cause) {
    throw new ListenError(`TLS refuses the certificate in TLS_CERT_FILE (${reasonOf(cause)}).`, { cause })
  }
  return { context, expiresAt: Date.parse(leaf.validTo) }
}

/** The server's own certificate is the first of the file; the others lead to its authority. */
function leafOf(cert: string): X509Certificate {
  try {
    return new X509Certificate(cert)
  } catch (cause) {
    throw new ListenError('TLS_CERT_FILE holds no certificate in PEM.', { cause })
  }
}

function privateKeyOf(key: string): KeyObject {
  try {
    return createPrivateKey(key)
  } catch (cause) {
    throw new ListenError('TLS_KEY_FILE holds no private key in PEM without a passphrase.', { cause })
  }
}

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? 'unreadable'
