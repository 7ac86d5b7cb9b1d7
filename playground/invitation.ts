// The link that invites: everything is in its fragment, which browsers never send to a server.
import { type Bytes, fromHex, toHex } from '../client/src/index.ts'

export type Invitation =
  | {
      readonly via: 'signaling'
      /** The client id of who invites. */
      readonly peer: string
      readonly name: string
      /** SHA-256 of their encryption key, in hex: a relay cannot put another key in its place. */
      readonly fingerprint: string
    }
  | {
      readonly via: 'l2ps'
      /** The public key of who invites. */
      readonly peer: string
      readonly name: string
      readonly network: string
      /** What messages are sealed with. */
      readonly subnetKey: Bytes
    }

export function linkOf(invitation: Invitation, page: string): string {
  const { via, peer, name } = invitation
  const fields =
    invitation.via === 'signaling'
      ? { fingerprint: invitation.fingerprint }
      : { network: invitation.network, key: toHex(invitation.subnetKey) }
  const url = new URL(page)
  url.hash = String(new URLSearchParams({ via, peer, name, ...fields }))
  return url.href
}

/** Undefined when the page was opened without an invitation, or with a broken one. */
export function readInvitation(hash: string): Invitation | undefined {
  const fields = new URLSearchParams(hash.replace(/^#/, ''))
  const text = (name: string) => fields.get(name) ?? ''
  const [peer, name] = [text('peer'), text('name').slice(0, 40)]
  if (text('via') === 'signaling' && peer !== '' && isHash(text('fingerprint'))) {
    return { via: 'signaling', peer, name, fingerprint: text('fingerprint') }
  }
  if (text('via') === 'l2ps' && isHash(peer) && isHash(text('key')) && text('network') !== '') {
    return { via: 'l2ps', peer, name, network: text('network'), subnetKey: fromHex(text('key')) }
  }
  return undefined
}

const isHash = (text: string): boolean => /^[0-9a-f]{64}$/.test(text)

export async function fingerprintOf(publicKey: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', Uint8Array.from(publicKey))))
}
