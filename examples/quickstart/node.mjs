// Two peers in an L2PS network: one sends, the other handles the message and reads the history.
//
//     npm install demos-relay-client
//     node node.mjs ws://127.0.0.1:3006
import { createEd25519Signer, createL2psClient, openTextFromSubnet, sealForSubnet } from 'demos-relay-client'

const url = process.argv[2] ?? 'ws://127.0.0.1:3006'
const subnetKey = crypto.getRandomValues(new Uint8Array(32)) // the members share it; the relay does not have it

async function join(onMessage) {
  const seed = crypto.getRandomValues(new Uint8Array(32)) // keep it, to return as the same peer
  const client = createL2psClient({ url, l2psUid: 'demo', signer: await createEd25519Signer(seed), onMessage })
  client.events.on('error', ({ error }) => console.error(error.message))
  await client.connect() // from now on it reconnects by itself
  return client
}

const alice = await join()
const bob = await join(async ({ from, encrypted }) => {
  // The message counts as received when this function has resolved; until then the relay would deliver it again.
  console.log(`received from ${from.slice(0, 8)}: ${await openTextFromSubnet(encrypted, subnetKey)}`)
})
const received = new Promise((resolve) => bob.events.once('message', resolve)) // emitted after the function above

const { status } = await alice.send(bob.publicKey, await sealForSubnet('hello, bob', subnetKey))
console.log(`the relay has it: ${status}`) // 'queued' if bob were away
await received

for await (const { encrypted, timestamp } of bob.historyOf(alice.publicKey)) {
  console.log(new Date(timestamp).toISOString(), await openTextFromSubnet(encrypted, subnetKey))
}
await Promise.all([alice.close(), bob.close()])
