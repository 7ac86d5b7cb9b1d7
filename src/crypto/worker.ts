// Runs in a worker thread: the checks that would hold up the event loop for milliseconds.
import { ml_dsa65 } from '@noble/post-quantum/ml-dsa.js'
import type { FalconKernel } from 'falcon-sign'
import { monotonicMs, type Verdict, type WorkerTask } from './proof.ts'

let falconKernel: Promise<FalconKernel> | undefined

/** WebAssembly memory is only taken in a server that meets a Falcon key. */
function loadFalcon(): Promise<FalconKernel> {
  falconKernel ??= import('falcon-sign').then((falcon) => falcon.getKernel('falcon512_n3_v1'))
  return falconKernel
}

/**
 * Checks one proof whose lengths are known to fit; a library that throws over it has met a wrong one.
 * A stale proof is dropped unchecked, so that the workers can catch up with a backlog.
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
