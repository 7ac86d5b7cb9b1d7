/**
 * `npm run demo:l2ps`: two peers talk in the network `demo` of a running server (`npm start`, or DEMO_L2PS_URL).
 * An application needs the same lines; see README.md.
 */
import { createL2psClient, createSigner, openTextFromSubnet, sealForSubnet } from '../client/src/index.ts'

const url = process.env.DEMO_L2PS_URL || 'ws://127.0.0.1:3006'
const subnetKey = crypto.getRandomValues(new Uint8Array(32)) // shared by the members, never by the server

const enter = async () => {
  const signer = await createSigner('ed25519', crypto.getRandomValues(new Uint8Array(32)))
  return createL2psClient({ url, l2psUid: 'demo', signer })
}

try {
  const [alice, bob] = [await enter(), await enter()]
  bob.events.on('message', async ({ from, encrypted }) => {
    console.log(`bob    <- ${from.slice(0, 8)}…: "${await openTextFromSubnet(encrypted, subnetKey)}"`)
  })
  await alice.connect()
  await bob.connect()
  console.log(
    `alice is ${alice.publicKey.slice(0, 8)}…, bob is ${bob.publicKey.slice(0, 8)}…, both in "demo" at ${url}`
  )

  const live = await alice.send(bob.publicKey, await sealForSubnet('hello, bob', subnetKey))
  console.log(`alice  -> bob: ${live.status}`)

  await bob.close()
  const later = await alice.send(bob.publicKey, await sealForSubnet('read this when you are back', subnetKey))
  console.log(`alice  -> bob, who is away: ${later.status}`)
  const delivered = new Promise((resolve) => bob.events.once('message', resolve))
  await bob.connect()
  await delivered

  const { messages } = await alice.history(bob.publicKey)
  console.log(`history, newest first: ${messages.map((message) => message.status).join(', ')}`)
  await alice.close()
  await bob.close()
} catch (error) {
  console.error(
    `The demo did not get through: ${(error as Error).message}\nIs a server running? Start one with: npm start`
  )
  process.exitCode = 1
}
