// A signaling peer in a process of its own, which a test can stop where it stands. Usage: frozen-peer.ts URL CLIENT_ID
// SEED. Says `registered`, and `message` for each that it gets.
import { openPeer } from '../helpers/peer.ts'
import { seededIdentity } from './proxies.ts'

const [url, clientId, seed] = process.argv.slice(2) as [string, string, string]
const peer = await openPeer({ after: () => {} }, url, { rejectUnauthorized: false })
await peer.register(clientId, await seededIdentity(seed))
peer.ws.on('message', () => process.send!('message'))
process.send!('registered')
