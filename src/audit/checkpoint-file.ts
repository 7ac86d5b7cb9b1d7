// The last signed checkpoints, kept outside the database: one that was restored to an earlier time does not know them.
import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Checkpoint, parseCheckpoint } from '../tlog/note.ts'
import { sha256 } from '../tlog/tree.ts'
import { StartError } from '../util/start-error.ts'
import { readOrigin } from './node-key.ts'

const EXTENSION = '.checkpoint'
/** Names that every file system keeps apart, also one that ignores case. */
const PLAIN = /^[a-z0-9_-]{1,100}$/

/** A checkpoint that was signed, and perhaps shown to others. */
export interface Remembered extends Checkpoint {
  readonly network: string
  readonly epoch: number
  readonly note: string
}

export function rememberedFrom(note: string): Remembered {
  const checkpoint = parseCheckpoint(note)
  return { ...checkpoint, ...readOrigin(checkpoint.origin), note }
}

/** The last signed checkpoint of every network, in memory and in `<directory>/<network>.checkpoint`. */
export class CheckpointMemory {
  readonly #directory: string
  readonly #last = new Map<string, Remembered>()

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Reads every file. Throws on one that is not a checkpoint: it was evidence, so an operator must decide. */
  static async open(directory: string): Promise<CheckpointMemory> {
    await mkdir(directory, { recursive: true })
    const memory = new CheckpointMemory(directory)
    for (const name of await readdir(directory)) {
      if (!name.endsWith(EXTENSION)) continue
      const remembered = await readRemembered(join(directory, name))
      memory.#last.set(remembered.network, remembered)
    }
    return memory
  }

  get(network: string): Remembered | undefined {
    return this.#last.get(network)
  }

  all(): Remembered[] {
    return [...this.#last.values()]
  }

  /** Remembers a signed checkpoint: after this, neither a crash nor a power cut forgets it. */
  async remember(note: string): Promise<void> {
    const remembered = rememberedFrom(note)
    const path = join(this.#directory, fileName(remembered.network))
    const draft = `${path}.${process.pid}.new`
    const file = await open(draft, 'w', 0o600)
    try {
      await file.writeFile(note)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
    await syncDirectory(this.#directory)
    this.#last.set(remembered.network, remembered)
  }
}

/** `<network>.checkpoint`, or the SHA-256 of a network whose name is not fit for a file. */
const fileName = (network: string): string =>
  `${PLAIN.test(network) ? network : `~${sha256(network).toString('hex')}`}${EXTENSION}`

async function readRemembered(path: string): Promise<Remembered> {
  const note = await readFile(path, 'utf8')
  try {
    return rememberedFrom(note)
  } catch (cause) {
    throw new StartError(`${path} is not a checkpoint: put back what was there, or remove it if nothing was lost`, {
      cause
    })
  }
}

/** The rename itself must survive a power cut. Windows cannot, and need not, sync a directory. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
