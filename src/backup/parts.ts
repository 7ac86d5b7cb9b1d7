// Copies files into a backup and out of it, and hashes every byte.
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { lstat, mkdir, readdir } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { MANIFEST, type Manifest, type Part } from './manifest.ts'

/** Tells the progress of long work. */
export type Progress = (text: string) => void

/** Copies a file (mode 0600, on disk when it resolves). The part is named by where it is in the backup. */
export async function copyPart(from: string, to: string, path: string, signal?: AbortSignal): Promise<Part> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  const meter = hashing()
  await pipeline(
    createReadStream(from),
    meter.stream,
    createWriteStream(to, { flags: 'wx', mode: 0o600, flush: true }),
    {
      ...(signal === undefined ? {} : { signal })
    }
  )
  return { path, ...meter.done() }
}

/** The size and the hash of a file that is there. */
export async function measurePart(file: string, path: string): Promise<Part> {
  const meter = hashing()
  await pipeline(createReadStream(file), meter.stream, async (bytes: AsyncIterable<Buffer>) => {
    for await (const _ of bytes);
  })
  return { path, ...meter.done() }
}

function hashing() {
  const hash = createHash('sha256')
  let bytes = 0
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      bytes += chunk.length
      done(null, chunk)
    }
  })
  return { stream, done: () => ({ bytes, sha256: hash.digest('hex') }) }
}

/** Regular files and directories below one, by their paths with slashes, sorted; nothing when it is not there. */
export async function filesBelow(directory: string): Promise<{ files: string[]; directories: string[] }> {
  const found = { files: [] as string[], directories: [] as string[] }
  const walk = async (at: string): Promise<void> => {
    const entries = await readdir(at, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
      throw error
    })
    for (const entry of entries) {
      const path = join(at, entry.name)
      const name = relative(directory, path).split(sep).join('/')
      if (entry.isDirectory()) {
        found.directories.push(name)
        await walk(path)
      } else if (entry.isFile()) found.files.push(name)
    }
  }
  await walk(directory)
  return { files: found.files.sort(), directories: found.directories.sort() }
}

/** Holds every part against the manifest. Throws on the first that is missing, damaged, or too many. */
export async function verifyParts(backup: string, manifest: Manifest, progress: Progress): Promise<void> {
  const known = new Set([MANIFEST, ...manifest.parts.map(({ path }) => path)])
  const { files } = await filesBelow(backup)
  const stranger = files.find((file) => !known.has(file))
  if (stranger !== undefined)
    throw new Error(`${stranger} is not part of the backup: it was not there when it was made`)
  for (const [at, part] of manifest.parts.entries()) {
    progress(`checking ${at + 1} of ${manifest.parts.length} files`)
    const file = join(backup, part.path)
    const size = await lstat(file).then(
      (found) => (found.isFile() ? found.size : -1),
      () => undefined
    )
    if (size === undefined) throw new Error(`${part.path} is missing from the backup`)
    if (size !== part.bytes) throw new Error(`${part.path} is damaged: ${size} bytes where ${part.bytes} were saved`)
    if ((await measurePart(file, part.path)).sha256 !== part.sha256) {
      throw new Error(`${part.path} is damaged: its SHA-256 is not the one in ${MANIFEST}`)
    }
  }
}
