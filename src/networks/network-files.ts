import { constants } from 'node:fs'
import { open, readdir, realpath, stat } from 'node:fs/promises'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { checkConfig, InvalidConfig, isHexText, isNetworkUid, type Network } from './network.ts'

/** Something an operator should put right. */
export interface Fault {
  readonly place: string
  readonly reason: string
}

export interface FilesFound {
  readonly networks: Network[]
  readonly faults: Fault[]
}

/** Largest file that is read, in bytes. Longer member lists belong in the database. */
export const MAX_FILE_BYTES = 65_536
/** A file touched less than this before it was read, in ms, may change again without looking different. */
const FRESH_MS = 2_000

/** What is known of one directory. */
interface Entry {
  /** The last valid version of its network. */
  readonly network: Network | undefined
  readonly fault: Fault | undefined
  /** File facts of its config.json when it was read; undefined: read it again next time. */
  readonly facts: string | undefined
}

/**
 * The networks in `<directory>/<uid>/config.json`. Reading them costs a stat for each, and opens what
 * has changed since the last time or was faulty. Key files are checked when the configuration that names them is read, not watched:
 * nothing here depends on what they hold.
 */
export class NetworkFiles {
  readonly #directory: string
  readonly #workingDirectory: string
  #entries: ReadonlyMap<string, Entry> = new Map()

  constructor(directory: string, workingDirectory: string) {
    this.#directory = resolve(workingDirectory, directory)
    this.#workingDirectory = resolve(workingDirectory)
  }

  /**
   * Every network, and what is wrong. A faulty file stops no other, and its own network stays as it was when it was
   * valid, so that a half-written file does not close all its sessions. A network without its file is gone.
   */
  async read(): Promise<FilesFound> {
    try {
      const names = await this.#names()
      const entries = new Map<string, Entry>()
      // One after the other: thousands of stats at once would hold up the signature checks in the same thread pool.
      for (const name of names) {
        const entry = await this.#entry(name, this.#entries.get(name))
        if (entry !== undefined) entries.set(name, entry)
      }
      this.#entries = entries
      return this.#found()
    } catch (error) {
      const reason = `the directory of networks cannot be read (${codeOf(error)}); those known before stay`
      return this.#found({ place: 'L2PS_DIR', reason })
    }
  }

  #found(...faults: Fault[]): FilesFound {
    const entries = [...this.#entries.values()]
    return {
      networks: entries.flatMap((entry) => entry.network ?? []),
      faults: [...faults, ...entries.flatMap((entry) => entry.fault ?? [])]
    }
  }

  /** Directories that may hold a network. */
  async #names(): Promise<string[]> {
    const found = await readdir(this.#directory, { withFileTypes: true }).catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return []
      throw error
    })
    const wanted = found.filter((each) => !each.name.startsWith('.') && (each.isDirectory() || each.isSymbolicLink()))
    return wanted.map((each) => each.name).sort()
  }

  /** Undefined when there is no config.json. */
  async #entry(name: string, known: Entry | undefined): Promise<Entry | undefined> {
    const config = join(this.#directory, name, 'config.json')
    if (known?.facts !== undefined && known.facts === (await fileFacts(config))) return known
    try {
      const network = await this.#read(name, await realpath(config))
      return { network, fault: undefined, facts: await fileFacts(config) }
    } catch (error) {
      if (isAbsent(error)) return undefined
      return { network: known?.network, fault: faultOf(name, error, known?.network), facts: undefined }
    }
  }

  async #read(name: string, config: string): Promise<Network> {
    if (!isNetworkUid(name)) throw new InvalidConfig('the name of its directory is no uid')
    if (!isInside(config, await realpath(this.#directory))) throw new InvalidConfig('leads out of L2PS_DIR')
    const { network, keyPaths } = checkConfig(await readText(config), name)
    for (const { field, path } of keyPaths) {
      try {
        await this.#checkKeyFiles(path)
      } catch (error) {
        throw error instanceof InvalidConfig ? new InvalidConfig(`${field}: ${error.message}`) : error
      }
    }
    return network
  }

  /** A key file is optional and never used here. If there is one, it must be in an allowed place and hold hex text. */
  async #checkKeyFiles(written: string): Promise<void> {
    const bases = [this.#workingDirectory, this.#directory]
    const places = bases.map((base) => resolve(base, written)).filter((place, index) => isInside(place, bases[index]!))
    if (places.length === 0) throw new InvalidConfig(LEADS_OUT)
    for (const place of places) {
      const real = await realpath(place).catch(unlessAbsent)
      if (real === undefined) continue
      const realBases = await Promise.all(bases.map((base) => realpath(base)))
      if (!realBases.some((base) => isInside(real, base))) throw new InvalidConfig(LEADS_OUT)
      const text = await readText(real).catch(unlessAbsent)
      if (text !== undefined && !isHexText(text)) throw new InvalidConfig('the file is no hex text')
    }
  }
}

const LEADS_OUT = 'leads out of L2PS_DIR and of the working directory'

function faultOf(name: string, error: unknown, last: Network | undefined): Fault {
  const reason = error instanceof InvalidConfig ? error.message : `cannot be read (${codeOf(error)})`
  const place = `${name}/config.json`
  return { place, reason: last === undefined ? reason : `${reason}; the last valid version stays in force` }
}

const isAbsent = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes(codeOf(error))

/** A key file that is missing, or that only others may read, is no fault. */
function unlessAbsent(error: unknown): undefined {
  if (!isAbsent(error) && !['EACCES', 'EPERM'].includes(codeOf(error))) throw error
}

const codeOf = (error: unknown): string => String((error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error')

function isInside(path: string, directory: string): boolean {
  const way = relative(directory, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** The text of a regular file of bounded size. Throws `InvalidConfig` for anything else. */
async function readText(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK) // a named pipe would wait for its writer
  try {
    if (!(await file.stat()).isFile()) throw new InvalidConfig('not a file')
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1)
    let length = 0
    for (let more = -1; more !== 0 && length < buffer.length; length += more) {
      more = (await file.read(buffer, length, buffer.length - length)).bytesRead
    }
    if (length > MAX_FILE_BYTES) throw new InvalidConfig(`larger than ${MAX_FILE_BYTES} bytes`)
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length))
  } catch (error) {
    throw codeOf(error) === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? new InvalidConfig('not UTF-8') : error
  } finally {
    await file.close()
  }
}

/**
 * Identity, size and times of a file: they differ when it has changed. Undefined when it is absent, or was touched so
 * lately that a further change could leave them the same.
 */
async function fileFacts(file: string): Promise<string | undefined> {
  const found = await stat(file).catch(() => undefined)
  if (found === undefined || found.ctimeMs > Date.now() - FRESH_MS) return undefined
  return [found.dev, found.ino, found.size, found.mtimeMs, found.ctimeMs].join(':')
}
