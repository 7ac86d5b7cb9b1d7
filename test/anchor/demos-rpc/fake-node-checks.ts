// What the fake node verifies, written from docs/protocol.md, 7 and nothing of ours.
import { createHash, createPublicKey, verify } from 'node:crypto'
import type { Ledger, SeenRequest } from './fake-node.ts'

export interface WireTransaction {
  readonly content: {
    readonly type: string
    readonly from: string
    readonly to: string
    readonly from_ed25519_address: string
    readonly amount: unknown
    readonly data: [string, { type: string; data: { targetId: string; senderId: string; messageHash: string } }]
    readonly gcr_edits: unknown
    readonly nonce: number
    readonly timestamp: number
    readonly transaction_fee: Record<string, unknown>
  }
  readonly signature: { readonly type: string; readonly data: string }
  readonly hash: string
}

const HEADER_LIFE_MS = 300_000

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

function verifies(address: string, text: string, signature: string): boolean {
  if (!/^0x[0-9a-f]{64}$/.test(address) || !/^0x[0-9a-f]{128}$/.test(signature)) return false
  const x = Buffer.from(address.slice(2), 'hex').toString('base64url')
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  return verify(null, Buffer.from(text), key, Buffer.from(signature.slice(2), 'hex'))
}

/** What is wrong with the headers of a request, if anything. */
export function checkAuthentication({ headers, body }: SeenRequest, now: number): string | undefined {
  const [identity, timestamp, signature] = ['identity', 'timestamp', 'signature'].map((name) => String(headers[name]))
  if (!identity?.startsWith('ed25519:')) return 'no identity'
  if (Math.abs(now - Number(timestamp)) > HEADER_LIFE_MS) return 'stale timestamp'
  const address = identity.slice('ed25519:'.length)
  if (!verifies(address, sha256(`${identity}:${timestamp}`), signature!)) return 'wrong signature'
  const { data } = JSON.parse(body).params[0]
  const transaction = (data.content ? data : data.response.data.transaction) as WireTransaction
  return transaction.content.from === address ? undefined : 'the sender is somebody else'
}

/** What is wrong with a transaction in itself, if anything. */
export function checkTransaction(transaction: WireTransaction, ledger: Ledger): string | undefined {
  const { content, hash, signature } = transaction
  const text = JSON.stringify(content)
  if (/[^\x20-\x7e]/.test(text)) return 'not ASCII'
  if (sha256(text) !== hash) return '[Tx Validation] [SIGNATURE ERROR] wrong hash\n'
  if (signature.type !== 'ed25519' || !verifies(content.from, hash, signature.data)) {
    return '[Tx Validation] [SIGNATURE ERROR] Transaction signature not verified\n'
  }
  if (content.type !== 'instantMessaging' || content.data[0] !== 'instantMessaging') return 'wrong type'
  if (!/^0x[0-9a-f]{64}$/.test(content.to) || content.from_ed25519_address !== content.from) return 'wrong address'
  const { osDenomination } = ledger
  const expected = [
    {
      type: 'balance',
      account: content.from,
      operation: 'remove',
      amount: osDenomination ? '1000000000' : 1,
      txhash: '',
      isRollback: false
    },
    { type: 'nonce', operation: 'add', account: content.from, amount: 1, txhash: '', isRollback: false }
  ]
  if (JSON.stringify(content.gcr_edits) !== JSON.stringify(expected)) return 'GCREdit mismatch'
  const inWire = (dem: number) => (osDenomination ? String(BigInt(dem) * 1_000_000_000n) : dem)
  const fee = {
    network_fee: inWire(ledger.networkFee ?? 1),
    rpc_fee: inWire(ledger.networkFee === undefined ? 0 : (ledger.rpcFee ?? 0)),
    additional_fee: inWire(0),
    rpc_address: null
  }
  if (JSON.stringify(content.transaction_fee) !== JSON.stringify(fee)) return 'wrong fee'
  return content.amount === inWire(0) ? undefined : 'wrong amount'
}
