// Random sequences of everything that happens to a mailbox, on the real server, against a model of a few lines.
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { quickSigner } from '../helpers/peer.ts'
import { commands } from './commands.ts'
import { emptyModel, PEERS } from './model.ts'
import { openReal } from './real.ts'

/** Bounded in time, too: what has not been tried by then is left for the next run, with another seed. */
export async function agrees(t: TestContext, limits: { sequences: number; ms: number }): Promise<void> {
  const real = await openReal(t)
  let runs = 0
  const property = fc.asyncProperty(fc.commands(commands, { maxCommands: 40, size: 'max' }), async (sequence) => {
    const signers = await Promise.all(Array.from({ length: PEERS }, () => quickSigner()))
    await real.reset(`net-${++runs}`, signers)
    const model = emptyModel()
    for (const peer of [0, 1]) {
      await real.enter(peer)
      model.here[peer] = true
    }
    await fc.asyncModelRun(() => ({ model, real }), sequence)
  })
  await fc.assert(property, {
    ...{ numRuns: limits.sequences, interruptAfterTimeLimit: limits.ms, markInterruptAsFailure: false }
  })
  t.diagnostic(`${runs} sequences, ${real.agreed} steps`)
}
