// A small client for browsers and Node: `createSignalingClient` and `createL2psClient` are the doors, the rest is for
// those who build their own.
export { fromBase64, fromHex, toBase64, toHex } from './base64.ts'
export type { Events } from './events.ts'
export {
  createIdentity,
  createSigner,
  type Identity,
  type IdentityOptions,
  SEED_BYTES,
  type Signer,
  type SigningAlgorithm,
  type Verification
} from './identity.ts'
export { createL2psClient, type L2psClient, type L2psEvents, type L2psOptions } from './l2ps.ts'
export { type HistoryPage, hashOf, type SendResult, type StoredMessage, type SubnetMessage } from './l2ps-answers.ts'
export { freshTimestamp, historyProof, type L2psSigner, type Proof, registerProof } from './l2ps-proof.ts'
export { type LocalErrorType, RelayError } from './relay-error.ts'
export { isSealed, open, type Sealed, seal } from './sealed.ts'
export {
  createSignalingClient,
  type IncomingMessage,
  type ServerQuestion,
  type SignalingClient,
  type SignalingEvents,
  type SignalingOptions
} from './signaling.ts'
export { type Encrypted, isEncrypted, openFromSubnet, openTextFromSubnet, sealForSubnet } from './subnet.ts'
export {
  createTransport,
  DEFAULT_RECONNECT,
  type ReconnectPolicy,
  reconnectDelay,
  type Transport,
  type TransportEvents,
  type TransportOptions
} from './transport.ts'
export type { WebSocketConstructor, WebSocketLike } from './web-socket.ts'
