// The calls of a Demos node that an anchoring needs, typed and checked (docs/protocol.md, 7).
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { faultInWords } from '../../util/schema-words.ts'
import { DemosRpcError, isDemosRpcError, nodeWords } from './errors.ts'
import { type Fees, type SignedTransaction, sha256Hex, type Wallet } from './transaction.ts'
import type { Reply, Transport } from './transport.ts'

/** Members we do not know are kept: the reply of confirmTx goes back to the node as it came. */
const Envelope = Type.Object({
  result: Type.Integer(),
  response: Type.Optional(Type.Unknown()),
  extra: Type.Optional(Type.Unknown())
})
export type Envelope = Static<typeof Envelope>

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

const NetworkInfo = Type.Object({
  forks: Type.Object({ osDenomination: Type.Object({ activated: Type.Boolean() }) })
})

/** In DEM; beyond what a number can say exactly in OS it is not a fee. */
const Dem = Type.Number({ minimum: 0, maximum: 1_000_000 })
const NetworkParameters = Type.Object({ networkFee: Dem, rpcFee: Type.Optional(Dem) })

const TransactionStatus = Type.Object({
  state: Type.Union([
    Type.Literal('pending'),
    Type.Literal('included'),
    Type.Literal('failed'),
    Type.Literal('unknown')
  ]),
  blockNumber: Type.Optional(Type.Union([Count, Type.Null()]))
})
export type TransactionStatus = Static<typeof TransactionStatus>

const Validity = Type.Object({
  data: Type.Object({
    valid: Type.Boolean(),
    message: Type.Optional(Type.Unknown()),
    transaction: Type.Optional(Type.Unknown())
  })
})
const ValidTransaction = Type.Object({ hash: Type.String() })

const checks = {
  envelope: TypeCompiler.Compile(Envelope),
  count: TypeCompiler.Compile(Count),
  networkInfo: TypeCompiler.Compile(NetworkInfo),
  networkParameters: TypeCompiler.Compile(NetworkParameters),
  transactionStatus: TypeCompiler.Compile(TransactionStatus),
  validity: TypeCompiler.Compile(Validity),
  validTransaction: TypeCompiler.Compile(ValidTransaction)
}

/** What a network asks when its node publishes no fees. */
const DEFAULT_FEES: Fees = { networkFee: 1, rpcFee: 0 }

/** The node's whole reply to confirmTx; only that node takes it, and only for a block. */
export type Confirmation = Envelope

/** Every call rejects with a DemosRpcError, or the reason of the transport's signal. */
export interface NodeClient {
  /** The nonce of the last transaction in a block: those in flight are not counted. */
  addressNonce(address: string): Promise<number>
  fees(): Promise<Fees>
  osDenomination(): Promise<boolean>
  lastBlockNumber(): Promise<number>
  transactionStatus(hash: string): Promise<TransactionStatus>
  /** REFUSED or INSUFFICIENT_BALANCE when the node finds the transaction invalid, which it also says with result 200. */
  confirm(transaction: SignedTransaction): Promise<Confirmation>
  /** Also resolves when the node has it already. STALE_REFERENCE: to be confirmed again. */
  broadcast(confirmation: Confirmation): Promise<void>
}

export function createNodeClient(parts: { transport: Transport; wallet: Wallet; clock: () => number }): NodeClient {
  const { transport, wallet } = parts

  const nodeCall = async (message: string, data: object = {}): Promise<unknown> => {
    const body = JSON.stringify(callBody('nodeCall', message, data, ''))
    const envelope = readEnvelope(await transport.post(body, () => ANONYMOUS), message)
    if (envelope.result !== 200) throw refusal(message, envelope)
    return envelope.response
  }
  const execute = async (data: unknown, extra: 'confirmTx' | 'broadcastTx'): Promise<Envelope> => {
    const body = JSON.stringify(callBody('execute', '', data, extra))
    return readEnvelope(await transport.post(body, () => authentication(wallet, parts.clock())), extra)
  }

  return {
    addressNonce: async (address) =>
      checked(checks.count, await nodeCall('getAddressNonce', { address }), 'getAddressNonce'),
    lastBlockNumber: async () => checked(checks.count, await nodeCall('getLastBlockNumber'), 'getLastBlockNumber'),
    transactionStatus: async (hash) =>
      checked(checks.transactionStatus, await nodeCall('getTransactionStatus', { hash }), 'getTransactionStatus'),
    fees: async () => {
      const reply = await ifKnown(nodeCall('getNetworkParameters'))
      if (reply === undefined) return DEFAULT_FEES
      const { networkFee, rpcFee = 0 } = checked(checks.networkParameters, reply, 'getNetworkParameters')
      return { networkFee, rpcFee }
    },
    osDenomination: async () => {
      const reply = await ifKnown(nodeCall('getNetworkInfo'))
      if (reply === undefined) return false
      return checked(checks.networkInfo, reply, 'getNetworkInfo').forks.osDenomination.activated
    },
    confirm: async (transaction) => {
      const envelope = await execute(transaction, 'confirmTx')
      if (envelope.result !== 200) throw refusal('confirmTx', envelope)
      checkValidity(envelope, transaction)
      return envelope
    },
    broadcast: async (confirmation) => checkBroadcast(await execute(confirmation, 'broadcastTx'))
  }
}

function callBody(type: 'nodeCall' | 'execute', message: string, data: unknown, extra: string): object {
  return { method: type, params: [{ type, message, sender: null, receiver: null, timestamp: null, data, extra }] }
}

/** As the SDK sends it with every nodeCall. */
const ANONYMOUS = { timestamp: '' }

/** Good for 5 minutes by the node's clock. */
function authentication({ address, sign }: Wallet, now: number): Record<string, string> {
  const identity = `ed25519:${address}`
  return { identity, timestamp: String(now), signature: sign(sha256Hex(`${identity}:${now}`)) }
}

function readEnvelope({ status, json }: Reply, call: string): Envelope {
  if (status === 401) throw new DemosRpcError('UNAUTHORIZED', `${call}: ${nodeWords(json)}`)
  if (!checks.envelope.Check(json)) throw new DemosRpcError('BAD_REPLY', `${call}: HTTP ${status} without a result`)
  return json
}

function checked<T extends TSchema>(check: TypeCheck<T>, value: unknown, call: string): Static<T> {
  if (check.Check(value)) return value
  const error = check.Errors(value).First()
  const words =
    error === undefined ? 'response is wrong' : faultInWords({ ...error, path: `/response${error.path}` }, '')
  throw new DemosRpcError('BAD_REPLY', `${call}: ${words}`)
}

/** Older nodes do not know the call: they refuse it, or answer null. */
async function ifKnown(reply: Promise<unknown>): Promise<unknown> {
  try {
    return (await reply) ?? undefined
  } catch (error) {
    if (isDemosRpcError(error, 'REFUSED')) return undefined
    throw error
  }
}

/** The node signs its verdict with its own key, and only checks it when it gets it back. */
function checkValidity({ response }: Envelope, transaction: SignedTransaction): void {
  const { data } = checked(checks.validity, response, 'confirmTx')
  if (!data.valid) throw said('confirmTx', nodeWords(data.message))
  if (!checks.validTransaction.Check(data.transaction) || data.transaction.hash !== transaction.hash) {
    throw new DemosRpcError('BAD_REPLY', 'confirmTx: the verdict is about another transaction')
  }
}

/** Some nodes say no with result 200 and `response` false, or with `extra.error`. */
function checkBroadcast(envelope: Envelope): void {
  const { result, response, extra } = envelope
  const error = typeof extra === 'object' && extra !== null && 'error' in extra && extra.error !== ''
  if (result === 200 && response !== false && !error) return
  const refused = refusal('broadcastTx', envelope)
  if (!/already (in mempool|executed)/i.test(refused.message)) throw refused
}

function refusal(call: string, { result, response, extra }: Envelope): DemosRpcError {
  const reason = [extra, response].map(nodeWords).find((words) => words !== nodeWords(undefined))
  return said(call, reason ?? `result ${result}`)
}

function said(call: string, words: string): DemosRpcError {
  const code = /insufficient balance|no balance found/i.test(words)
    ? 'INSUFFICIENT_BALANCE'
    : /invalid block reference/i.test(words)
      ? 'STALE_REFERENCE'
      : 'REFUSED'
  return new DemosRpcError(code, `${call}: ${words}`)
}
