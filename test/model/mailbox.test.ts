// Random sequences of everything that happens to a mailbox, on the real server, against a model of a few lines.
import { test } from 'node:test'
import fc from 'fast-check'
import { quickSigner } from '../helpers/peer.ts'
import { commands } from './commands.ts'
import { emptyModel, PEERS } from './model.ts'
import { openReal } from './real.ts'

/** Bounded in time, too: what has not been tried by then is left for the next run, with another seed. */
const LIMITS = { numRuns: 60, interruptAfterTimeLimit: 35_000, markInterruptAsFailure: false }

test('a mailbox does what its model does, whatever happens in whatever order', async (t) => {
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
  await fc.assert(property, LIMITS)
  t.diagnostic(`${runs} sequences, ${real.agreed} steps`)
})
