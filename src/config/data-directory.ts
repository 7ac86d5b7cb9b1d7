import { constants } from 'node:fs'
import { access, mkdir, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { StartError } from '../util/start-error.ts'

/** A network file system that does not answer in this time will not answer during the start, in ms. */
const PATIENCE_MS = 10_000

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this process may not write there',
  EPERM: 'this process may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'it is a file',
  ELOOP: 'its symbolic links go round in a circle',
  ENAMETOOLONG: 'the path is too long'
}

/** Makes DATA_DIR where it is not there. Throws `StartError` when files cannot be kept in it. */
export async function prepareDataDirectory(dataDir: string): Promise<void> {
  const directory = resolve(dataDir)
  const refuse = (reason: string, cause?: unknown) => {
    throw new StartError(
      `DATA_DIR ${directory} cannot be used: ${reason}. Name a directory that can, or mount one there.`,
      {
        cause
      }
    )
  }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS, 'late')
  })
  try {
    const outcome = await Promise.race([late, prepare(directory)])
    if (outcome === 'late') refuse(`its file system does not answer within ${PATIENCE_MS / 1_000} s`)
  } catch (error) {
    if (error instanceof StartError) throw error
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    refuse(REASONS[code] ?? code, error)
  } finally {
    clearTimeout(timer)
  }
}

async function prepare(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true })
  if (!(await stat(directory)).isDirectory()) throw Object.assign(new Error('a file'), { code: 'EEXIST' })
  await access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
}
