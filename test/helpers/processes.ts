import { execFileSync } from 'node:child_process'

/** The process and its children. */
export function processTree(pid: number): number[] {
  try {
    const children = execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
    return [pid, ...children.trim().split('\n').map(Number)]
  } catch {
    return [pid] // pgrep fails when there is no child
  }
}
