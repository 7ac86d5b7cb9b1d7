import { readdir, readFile } from 'node:fs/promises'

export interface FileDescriptors {
  readonly open: number
  /** Undefined: unlimited. */
  readonly max: number | undefined
}

/** How many file descriptors this process has open, and may have. Undefined where the system has no /proc. */
export async function readFileDescriptors(): Promise<FileDescriptors | undefined> {
  try {
    const [open, limits] = await Promise.all([readdir('/proc/self/fd'), readFile('/proc/self/limits', 'utf8')])
    const [, soft] = /^Max open files +(\d+)/m.exec(limits) ?? []
    return { open: open.length - 1, max: soft === undefined ? undefined : Number(soft) } // one is the list itself
  } catch {
    return undefined
  }
}
