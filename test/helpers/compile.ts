import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'

/** What compiled code reads from beside itself. */
const READ_BESIDE = ['test/vectors']

/**
 * Compiles the sources and tests into a new directory `build/test-…`, without checking types: a second for all, where
 * every process that reads TypeScript by itself takes a second longer to start. Returns the directory.
 */
export async function compileTests(): Promise<string> {
  await mkdir(packageFile('build'), { recursive: true })
  const directory = await mkdtemp(packageFile('build/test-'))
  const compiler = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
  const options = ['--noEmit', 'false', '--noCheck', '--inlineSourceMap', '--rootDir', '.', '--outDir', directory]
  const compiled = promisify(execFile)(process.execPath, [compiler, ...options], { cwd: packageFile('.') })
  await compiled.catch(async ({ stdout }) => {
    await rm(directory, { recursive: true })
    throw new Error(`the sources do not compile:\n${stdout}`)
  })
  await Promise.all(READ_BESIDE.map((path) => cp(packageFile(path), join(directory, path), { recursive: true })))
  return directory
}
