// What the relay has signed about a message, checked in this browser.
import { fetchEvidence, type ProvenMessage, type ProvenSignalingMessage, verifyProof } from '../client/src/proof.ts'
import { here } from './talk.ts'

/** How often, and how many times, the relay is asked whether the log is signed. */
const ASK_MS = 500
const ASK_TIMES = 60

/** Asks until there is an answer: the log is signed about a second after a message. */
export async function recorded<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (let asked = 0; asked < ASK_TIMES; asked++) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await new Promise((resolve) => setTimeout(resolve, ASK_MS))
  }
  throw new Error('The log that holds this message is not signed yet. Try again later.')
}

/** Checks that the relay has put the message on record and signed the log that holds it; the result as a sentence. */
export async function verify(
  message: ProvenMessage | ProvenSignalingMessage,
  network: string,
  txHash: string
): Promise<string> {
  const answer = await fetch(here('audit/vkey'))
  if (!answer.ok) throw new Error(`The relay does not give its key: ${answer.status}`)
  const evidence = await fetchEvidence(here(''), network, txHash)
  const { index, treeSize, origin, acceptedAtMs } = await verifyProof(message, {
    ...evidence,
    vkey: await answer.text()
  })
  const time = new Date(acceptedAtMs).toLocaleTimeString()
  return `Verified: accepted at ${time}, record ${index + 1} of ${treeSize} in the signed log ${origin}`
}
