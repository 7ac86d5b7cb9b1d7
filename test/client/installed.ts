// The client as an application gets it: packed as for the registry, and installed in a directory of its own.
import { execFile } from 'node:child_process'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'

const run = promisify(execFile)

/** What the package needs, and what that needs: installed from this repository, so that no registry is asked. */
const DEPENDENCIES = [...['@noble/post-quantum', '@noble/ciphers', '@noble/curves', '@noble/hashes', 'ws']] as const

export interface Application {
  /** An empty application in which the package is installed. */
  readonly home: string
  /** The files of the package. */
  readonly files: readonly string[]
  /** Writes a file of the application. */
  write(name: string, text: string): Promise<void>
  /** Runs a program in the application's directory; what it wrote. */
  run(program: string, ...args: string[]): Promise<string>
}

/** Packs the client, and installs the archive by npm without a network. */
export async function installClient(t: TestContext): Promise<Application> {
  const home = await temporaryDirectory(t)
  const archives = join(home, 'archives')
  await mkdir(archives)
  const pack = async (directory: string) => {
    const packing = ['pack', '--json', '--pack-destination', archives]
    const { stdout } = await run('npm', packing, { cwd: packageFile(directory), env: quiet() })
    const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')))
    return { file: join(archives, filename), files: files.map(({ path }: { path: string }) => path) as string[] }
  }
  const client = await pack('client')
  const others = await Promise.all(DEPENDENCIES.map((name) => pack(`node_modules/${name}`)))
  await writeFile(join(home, 'package.json'), '{ "type": "module", "private": true }')
  const installing = ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts']
  await run('npm', [...installing, client.file, ...others.map(({ file }) => file)], { cwd: home, env: quiet() })
  return {
    home,
    files: client.files,
    write: (name, text) => writeFile(join(home, name), text),
    run: async (program, ...args) => {
      const ended = run(program, args, { cwd: home })
      return (await ended.catch((error) => Promise.reject(new Error(`${error.stdout}${error.stderr}`)))).stdout
    }
  }
}

/** Without what the npm that runs the tests tells its children. */
function quiet(): NodeJS.ProcessEnv {
  const env = Object.entries(process.env).filter(([name]) => !name.startsWith('npm_'))
  return { ...Object.fromEntries(env), npm_config_update_notifier: 'false' }
}

/** The names in a directory of the installed package. */
export const installedFiles = ({ home }: Application, directory = '.'): Promise<string[]> =>
  readdir(join(home, 'node_modules/demos-relay-client', directory))
