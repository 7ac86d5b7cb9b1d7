// Runs in a worker thread: the checks that would hold up the event loop for milliseconds.
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js'
import type { FalconKernel } from 'falcon-sign'
import type { Verdict } from './verifier.ts'
import { monotonicMs, type WorkerTask } from './worker-task.ts'

let falconKernel: Promise<FalconKernel> | undefined

/** WebAssembly memory is only taken in a server that meets a Falcon key. */
function loadFalcon(): Promise<FalconKernel> {
  falconKernel ??= import('falcon-sign').then((falcon) => falcon.getKernel('falcon512_n3_v1'))
  return falconKernel
}

/**
 * Checks one proof whose lengths are known to fit; a library that throws over it has met a wrong one.
 * A proof nobody waits for any more is dropped unchecked, so a backlog cannot keep the workers behind for ever.
 */
export default async function checkProof(task: WorkerTask): Promise<Verdict> {
  if (monotonicMs() >= task.staleAtMs) return 'busy'
  const kernel = task.algorithm === 'falcon' ? await loadFalcon() : undefined
  try {
    const verifies = kernel ? kernel.verify : ml_dsa65.verify
    return verifies(task.signature, task.message, task.publicKey) ? 'valid' : 'invalid'
  } catch {
    return 'invalid'
  }
}
