import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { type BenchPeer, type Kind, type Protocol, typeOf } from './protocol.ts'
import { STAMP, Stamped } from './stamped.ts'

/** The network all peers of the benchmark are in. */
export const BENCH_NETWORK = 'bench'

const KINDS: Readonly<Record<string, Kind>> = {
  registered: 'registered',
  message: 'delivery',
  message_sent: 'accepted',
  message_queued: 'queued',
  error: 'refused'
}

export const l2ps: Protocol = {
  name: 'l2ps',
  confirmsDelivery: true,
  newPeers: async (_prefix, count) => Array.from({ length: count }, newPeer),
  kindOf: (frame) => KINDS[typeOf(frame)] ?? 'other',
  template: (_from, to, bodyBytes) => {
    const sealed = sealedBody(bodyBytes)
    const payload = `{"to":"${to.name}","encrypted":${sealed},"messageHash":"hash-${STAMP}"}`
    return {
      frame: new Stamped(`{"type":"send","payload":${payload},"timestamp":${Date.now()},"requestId":"req-${STAMP}"}`),
      sealed: new Stamped(sealed)
    }
  }
}

/**
 * Keys by node:crypto, whose signatures are the same and much faster to make: every peer here needs its own. As DER: exporting
 * so many KeyObjects would hang now and then, see `makeNodeKey`.
 */
function newPeer(): BenchPeer {
  const pair = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' }
  })
  const privateKey = createPrivateKey({ key: pair.privateKey, type: 'pkcs8', format: 'der' })
  const name = pair.publicKey.toString('hex', pair.publicKey.length - 32)
  return {
    name,
    registerFrame: async () =>
      request('register', { publicKey: name, l2psUid: BENCH_NETWORK }, privateKey, `register:${name}`),
    historyFrame: (peerKey, before, limit) =>
      request('history', { peerKey, before, limit }, privateKey, `history:${peerKey}`)
  }
}

/** A frame with a proof over `subject` and its own time. */
function request(type: string, payload: object, key: KeyObject, subject: string): string {
  const timestamp = Date.now()
  const proof = sign(null, Buffer.from(`${subject}:${timestamp}`), key).toString('hex')
  return JSON.stringify({
    type,
    payload: { ...payload, proof },
    timestamp,
    requestId: `req-${randomBytes(5).toString('hex')}`
  })
}

function sealedBody(bytes: number): string {
  const shape = (data: string) =>
    JSON.stringify({ ciphertext: STAMP + data, nonce: randomBytes(12).toString('base64') })
  const groups = Math.max(1, Math.floor((bytes - shape('').length) / 4))
  return shape(randomBytes(groups * 3).toString('base64'))
}
