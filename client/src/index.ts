// The client for browsers and Node. Start with `createSignalingClient` or `createL2psClient`; the other exports are the
// parts they are made of.
export type { RequestOptions } from './abort.ts'
export { type Bytes, fromBase64, fromHex, toBase64, toHex } from './base64.ts'
export { digestOf } from './digest.ts'
export type { Events } from './events.ts'
export { type Frame, type LocalErrorType, RelayError } from './frame.ts'
export {
  createEd25519Signer,
  createIdentity,
  createMlDsaSigner,
  createSigner,
  type Identity,
  type IdentityOptions,
  SEED_BYTES,
  type Signer,
  type SigningAlgorithm,
  type Verification
} from './identity.ts'
export type { KeyChange } from './known-keys.ts'
export { createL2psClient, type L2psClient, type L2psEvents, type L2psOptions, type SendOptions } from './l2ps.ts'
export { type HistoryPage, hashOf, type SendResult, type StoredMessage, type SubnetMessage } from './l2ps-answers.ts'
export { freshTimestamp, historyProof, type L2psSigner, type Proof, registerProof } from './l2ps-proof.ts'
export {
  type Encrypted,
  isEncrypted,
  isSealed,
  open,
  openFromSubnet,
  openTextFromSubnet,
  type Sealed,
  seal,
  sealForSubnet
} from './sealed.ts'
export { createSignalingClient } from './signaling.ts'
export type { Outcome } from './signaling-answers.ts'
export type {
  Confirmation,
  IncomingMessage,
  PeerKey,
  RecordedMessage,
  ServerQuestion,
  SignalingClient,
  SignalingEvents,
  SignalingOptions
} from './signaling-api.ts'
export type { ClientStorage } from './storage.ts'
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
