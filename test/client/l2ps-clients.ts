// Clients and waits for the tests of the L2PS client.
import type { TestContext } from 'node:test'
import { createL2psClient, type L2psClient, type L2psOptions } from '../../client/src/l2ps.ts'
import { quickSigner } from '../helpers/peer.ts'

export const quick = { firstDelayMs: 5, maximumDelayMs: 20, jitter: 0 }

type Options = Partial<L2psOptions> & { url: string }

/** A client that is closed after the test: a fresh ed25519 key, network `net`, quick to come back. */
export async function clientFor(t: TestContext, options: Options): Promise<L2psClient> {
  const signer = options.signer ?? (await quickSigner())
  const client = createL2psClient({ l2psUid: 'net', reconnect: quick, ...options, signer })
  t.after(() => client.close())
  return client
}

export async function join(t: TestContext, options: Options): Promise<L2psClient> {
  const client = await clientFor(t, options)
  await client.connect()
  return client
}

/** A body the server takes; what is in it does not matter. */
export const body = (text = 'hello') => ({ ciphertext: btoa(text), nonce: 'AAAAAAAAAAAAAAAA' })
