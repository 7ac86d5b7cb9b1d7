import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageFile } from '../src/util/package-root.ts'

const run = promisify(execFile)
const HOME = packageFile('.bench')

/** A directory of this run below the package, so that a build in it finds the migrations; gone after `remove`. */
export interface Workplace {
  readonly directory: string
  remove(): Promise<void>
}

export async function makeWorkplace(): Promise<Workplace> {
  await mkdir(HOME, { recursive: true })
  await writeFile(join(HOME, '.gitignore'), '*\n')
  await removeLeftovers()
  const directory = join(HOME, String(process.pid))
  await mkdir(directory)
  return {
    directory,
    remove: async () => {
      await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
      const others = await readdir(HOME)
      if (others.every((name) => name === '.gitignore')) await rm(HOME, { recursive: true, force: true })
    }
  }
}

/** Compiles the server as it is released, and returns its `main.js`. Says on stderr when types are wrong. */
export async function buildServer(workplace: Workplace): Promise<string> {
  const outDir = join(workplace.directory, 'dist')
  const compiler = packageFile('node_modules/typescript/bin/tsc')
  try {
    await run(process.execPath, [compiler, '-p', packageFile('tsconfig.build.json'), '--outDir', outDir], {
      cwd: packageFile('.'),
      timeout: 120_000
    })
  } catch (error) {
    const { stdout = '', message } = error as Error & { stdout?: string }
    process.stderr.write(`bench: the build has mistakes\n${(stdout || message).slice(0, 2_000)}\n`)
  }
  const main = join(outDir, 'src/main.js')
  if (!existsSync(main)) throw new Error('the server could not be built')
  return main
}

/** What runs left behind that were killed. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(HOME)) {
    if (/^\d+$/.test(name) && !isRunning(Number(name))) await rm(join(HOME, name), { recursive: true, force: true })
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
