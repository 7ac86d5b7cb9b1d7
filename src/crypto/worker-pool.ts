// The threads that check ML-DSA and Falcon proofs.
import { Piscina } from 'piscina'
import { monotonicMs, type Proof, type Verdict, type WorkerTask } from './proof.ts'

export interface WorkerPoolOptions {
  workers: number
  /** How long the asker waits; a proof still queued after that is dropped. */
  answerWithinMs: number
  /** Module the threads run; its default export checks one `WorkerTask`. */
  filename?: string
}

export interface WorkerPool {
  /** Rejects if no worker could answer: one died, or the pool closed. That says nothing about the proof. */
  check(proof: Proof): Promise<Verdict>
  /** Ends the threads at once, whatever they are doing. */
  close(): Promise<void>
}

/** `worker.ts` in a checkout, `worker.js` in the build: whichever this module itself is. */
const WORKER_FILE = import.meta.url.replace(/worker-pool(\.[jt]s)$/, 'worker$1')

/**
 * Starts no thread before the first proof, then all of them, so that one is replaced as soon as it dies (the pool
 * does so only below its minimum). Idle threads sleep and cost no CPU.
 */
export function createWorkerPool({ workers, answerWithinMs, filename = WORKER_FILE }: WorkerPoolOptions): WorkerPool {
  let pool: Piscina<WorkerTask, Verdict> | undefined
  const places = createSemaphore(workers)

  const start = (): Piscina<WorkerTask, Verdict> => {
    const started = new Piscina<WorkerTask, Verdict>({
      filename,
      minThreads: workers,
      maxThreads: workers,
      recordTiming: false
    })
    started.on('error', () => {}) // a thread that dies idle is replaced; one that dies at work fails its proof
    return started
  }

  return {
    async check(proof) {
      pool ??= start()
      const staleAtMs = monotonicMs() + answerWithinMs
      await places.acquire()
      const task = toTask(proof, staleAtMs)
      const stuck = new AbortController()
      // Stale proofs are skipped in no time, so one that is under way after twice the wait hangs: end its thread.
      const watchdog = setTimeout(() => stuck.abort(), 2 * answerWithinMs).unref()
      try {
        const transferList = [task.publicKey.buffer, task.message.buffer, task.signature.buffer] as ArrayBuffer[]
        return await pool.run(task, { signal: stuck.signal, transferList })
      } finally {
        clearTimeout(watchdog)
        places.release()
      }
    },
    async close() {
      await pool?.destroy()
    }
  }
}

/** Copies, since a proof's arrays may be windows on buffers other proofs share, and a transfer takes them whole. */
function toTask({ algorithm, publicKey, message, signature }: Proof, staleAtMs: number): WorkerTask {
  return {
    algorithm,
    publicKey: new Uint8Array(publicKey),
    message: new Uint8Array(message),
    signature: new Uint8Array(signature),
    staleAtMs
  }
}

/** At most `places` at once, in the order they came. The queue of the pool itself is last in, first out. */
function createSemaphore(places: number) {
  const waiting: (() => void)[] = []
  let free = places
  return {
    acquire: async () => {
      if (free > 0) free -= 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },
    release: () => {
      const next = waiting.shift()
      if (next === undefined) free += 1
      else next()
    }
  }
}
