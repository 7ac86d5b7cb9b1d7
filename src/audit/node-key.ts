// The node's ed25519 key, and the names it signs logs under.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { rawPublicKey, type Verifier } from '../tlog/note.ts'
import { sha256 } from '../tlog/tree.ts'
import { StartError } from '../util/start-error.ts'
import { writeOnce } from '../util/write-once.ts'

/** The end of a log's name after its operator accepted a restored database. */
const EPOCH = /@(\d+)$/

/** Reads the key (PKCS#8 PEM, ed25519); makes one (mode 0600) when the file is not there. */
export async function loadNodeKey(path: string): Promise<KeyObject> {
  return (await readNodeKey(path)) ?? (await makeNodeKey(path))
}

/** Reads the key; undefined: there is no file. Throws `StartError`. */
export async function readNodeKey(path: string): Promise<KeyObject | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new StartError(`the node key at ${path} cannot be read (${error.code})`, { cause: error })
  })
  if (text === undefined) return undefined
  const key = parseKey(text)
  if (key?.asymmetricKeyType === 'ed25519') return key
  throw new StartError(`${path} does not hold an ed25519 private key (PKCS#8 PEM): put back the one that was there`)
}

/** Signs and names the logs of one node. */
export interface NodeIdentity {
  readonly key: KeyObject
  /** The name every checkpoint is signed under besides its log's own: AUDIT_ORIGIN. */
  readonly name: string
}

export function nodeIdentity(key: KeyObject, origin: string | undefined): NodeIdentity {
  const short = sha256(rawPublicKey(key)).subarray(0, 8).toString('hex')
  return { key, name: origin ?? `demos-relay.local/${short}` }
}

/** The verifier of every checkpoint this node signs. */
export const nodeVerifier = ({ key, name }: NodeIdentity): Verifier => ({ name, publicKey: rawPublicKey(key) })

/** A log's origin: the node's name and the network, percent-encoded; from its second epoch on with `@<epoch>`. */
export function originOf(name: string, network: string, epoch: number): string {
  return `${name}/${networkSegment(network)}${epoch === 1 ? '' : `@${epoch}`}`
}

/** Which network and epoch an origin speaks of, whatever the node was called. */
export function readOrigin(origin: string): { network: string; epoch: number } {
  const segment = origin.slice(origin.lastIndexOf('/') + 1)
  const epoch = Number(EPOCH.exec(segment)?.[1] ?? 1)
  return { network: decodeURIComponent(segment.replace(EPOCH, '')), epoch }
}

/** A network in a URL or an origin: no slash, no plus, no space, no at sign, ASCII. */
export const networkSegment = (network: string): string => encodeURIComponent(network.toWellFormed())

/**
 * Makes the key; another process may just have done so, then it is that one. It is made as text: the export of a KeyObject
 * holds the key's lock, and a garbage collection in it that finds what generated the same key waits for that lock for ever
 * (Node.js 20).
 */
export async function makeNodeKey(path: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' }
  })
  await writeOnce(path, privateKey)
  return loadNodeKey(path)
}

function parseKey(text: string): KeyObject | undefined {
  try {
    return createPrivateKey(text)
  } catch {
    return undefined
  }
}
