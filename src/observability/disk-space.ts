import { statfs } from 'node:fs/promises'

export interface DiskSpace {
  /** What a user without special rights may still write. */
  readonly freeBytes: number
  /** Of what such a user may write at all: used and free. */
  readonly totalBytes: number
}

/** The room on the file system of a directory. */
export async function readDiskSpace(directory: string): Promise<DiskSpace> {
  const { bsize, blocks, bfree, bavail } = await statfs(directory)
  return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize }
}
