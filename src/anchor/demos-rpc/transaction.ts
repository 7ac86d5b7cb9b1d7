/**
 * The one transaction that anchors a checkpoint on a Demos chain.
 *
 * What it costs. The chain takes 1 DEM from the account for every `instantMessaging` transaction (the `balance` edit
 * below), plus the network's fees: `networkFee` + `rpcFee` of `getNetworkParameters`, in DEM; 1 DEM is declared when
 * the node does not say. With those default fees a checkpoint costs 2 DEM: 48 DEM a day for one network anchored every
 * hour, 2 880 DEM a day for one anchored every minute. The account has to be funded beforehand. 1 DEM = 10^9 OS.
 *
 * Source: docs/protocol.md, 7; `data` has the form of the SDK's `instantMessaging` type.
 * Every hashed text is ASCII, because nodes do not hash other text as UTF-8.
 */
import { createHash, createPrivateKey, createPublicKey, KeyObject, sign } from 'node:crypto'
import type { Submission } from '../../store/anchor-submission.ts'
import type { AnchoredCheckpoint } from '../anchor.ts'

/** Fees in DEM, as a network publishes them. */
export interface Fees {
  readonly networkFee: number
  readonly rpcFee: number
}

/** What a network asks of a transaction at the moment. */
export interface Terms {
  readonly fees: Fees
  /** After the osDenomination fork amounts are decimal text in OS, before it numbers in DEM. */
  readonly osDenomination: boolean
}

type Amount = number | string

/** Keys are in the order that is hashed. */
export interface TransactionContent {
  readonly type: 'instantMessaging'
  readonly from: string
  readonly to: string
  readonly from_ed25519_address: string
  readonly amount: Amount
  readonly data: readonly ['instantMessaging', unknown]
  readonly gcr_edits: readonly Readonly<Record<string, unknown>>[]
  readonly nonce: number
  readonly timestamp: number
  readonly transaction_fee: {
    readonly network_fee: Amount
    readonly rpc_fee: Amount
    readonly additional_fee: Amount
    readonly rpc_address: null
  }
}

export interface SignedTransaction {
  readonly content: TransactionContent
  readonly signature: { readonly type: 'ed25519'; readonly data: string }
  readonly ed25519_signature: null
  readonly hash: string
  readonly status: ''
  readonly blockNumber: null
}

/** The account that pays and signs. */
export interface Wallet {
  /** `0x` and the 64 hex digits of the public key. */
  readonly address: string
  /** Over the UTF-8 bytes of a text; `0x` and 128 hex digits. */
  sign(text: string): string
}

/** PKCS #8 around a raw ed25519 seed (RFC 8410, section 7). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Throws a TypeError, which does not tell the key, unless it is 32 bytes or a private ed25519 KeyObject. */
export function createWallet(privateKey: Uint8Array | KeyObject): Wallet {
  const key = privateKey instanceof KeyObject ? privateKey : keyOfSeed(privateKey)
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    throw new TypeError('the Demos account needs a private ed25519 key')
  }
  const { x } = createPublicKey(key).export({ format: 'jwk' })
  const address = `0x${Buffer.from(x!, 'base64url').toString('hex')}`
  return { address, sign: (text) => `0x${sign(null, Buffer.from(text), key).toString('hex')}` }
}

function keyOfSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) throw new TypeError('the seed of the Demos account has to be 32 bytes')
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })
}

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex')

export interface TransactionParts {
  readonly wallet: Wallet
  /** `data[1]`; ASCII only. */
  readonly data: unknown
  readonly nonce: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly terms: Terms
}

/** Builds and signs; the same parts give the same bytes. Throws a TypeError when `data` is not ASCII. */
export function signTransaction(parts: TransactionParts): SignedTransaction {
  const content = contentOf(parts)
  const text = JSON.stringify(content)
  if (/[^\x20-\x7e]/.test(text)) throw new TypeError('a Demos transaction has to be ASCII')
  const hash = sha256Hex(text)
  const signature = { type: 'ed25519', data: parts.wallet.sign(hash) } as const
  return { content, signature, ed25519_signature: null, hash, status: '', blockNumber: null }
}

function contentOf({ wallet: { address }, data, nonce, timestamp, terms }: TransactionParts): TransactionContent {
  const amount = terms.osDenomination ? demToOs : (dem: number) => dem
  return {
    type: 'instantMessaging',
    from: address,
    to: address, // has to be an address; a message to oneself names nobody else
    from_ed25519_address: address,
    amount: amount(0),
    data: ['instantMessaging', data],
    gcr_edits: ledgerEdits(address, amount(1)),
    nonce,
    timestamp,
    transaction_fee: {
      network_fee: amount(terms.fees.networkFee),
      rpc_fee: amount(terms.fees.rpcFee),
      additional_fee: amount(0),
      rpc_address: null
    }
  }
}

/** Exactly what the node generates for itself and compares. The nonce's 1 is a count: it stays a number after the fork. */
function ledgerEdits(account: string, price: Amount): TransactionContent['gcr_edits'] {
  return [
    { type: 'balance', account, operation: 'remove', amount: price, txhash: '', isRollback: false },
    { type: 'nonce', operation: 'add', account, amount: 1, txhash: '', isRollback: false }
  ]
}

const OS_DIGITS = 9

/** DEM as a decimal text in OS; a fraction smaller than 1 OS is rounded. */
export function demToOs(dem: number): string {
  return BigInt(dem.toFixed(OS_DIGITS).replace('.', '')).toString()
}

/** What of a checkpoint is put on the chain. */
export type AnchoredHead = Pick<AnchoredCheckpoint, 'network' | 'origin' | 'size' | 'rootHash'>

/**
 * Metadata only, as the SDK types this transaction: who (`senderId`, the node's address), which log (`targetId`,
 * `<network>/<origin>`) and which tree (`messageHash`, `<size>:<root hash in lower case hex>`). The size is part of it
 * because a root hash alone does not say of how many records. Whoever has a signed checkpoint can compare by eye.
 */
export function checkpointData(head: AnchoredHead, senderId: string): unknown {
  const data = { targetId: targetOf(head), senderId, messageHash: `${head.size}:${head.rootHash.toLowerCase()}` }
  return { type: 'instantMessaging', data }
}

/** One checkpoint, one key: two trees of one size and different roots are two checkpoints. ASCII. */
export function checkpointKey(head: AnchoredHead): string {
  return `${targetOf(head)}:${head.size}:${head.rootHash.toLowerCase()}`
}

/** Ids may hold any character: percent-encoded as UTF-8, in the network also `/`, so that the first one divides. */
function targetOf({ network, origin }: AnchoredHead): string {
  return `${encodeURIComponent(network.toWellFormed())}/${encodeOrigin(origin.toWellFormed())}`
}

const encodeOrigin = (origin: string): string => origin.split('/').map(encodeURIComponent).join('/')

/** What is remembered of a transaction before it is sent, so that a crash cannot make us pay twice. */
export function toSubmission(transaction: SignedTransaction): Submission {
  const { hash, content } = transaction
  return { hash, address: content.from, nonce: content.nonce, transaction: JSON.stringify(transaction) }
}

/** Throws when the text is not, byte for byte, what was signed: sent like that it could only be refused. */
export function toTransaction({ hash, transaction }: Submission): SignedTransaction {
  const read = JSON.parse(transaction) as SignedTransaction
  if (read.hash !== hash || sha256Hex(JSON.stringify(read.content)) !== hash) {
    throw new Error(`the remembered transaction ${hash} was changed in the store`)
  }
  return read
}
