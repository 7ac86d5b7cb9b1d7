// Carries out a Dockerfile without a container engine: each stage is a directory, and its steps run in there.
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rename } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'

const run = promisify(execFile)

interface Step {
  readonly instruction: string
  readonly text: string
}

/** What a stage has become: its root directory, and what it says about running it. */
export interface Image {
  readonly root: string
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  readonly user: string | undefined
  readonly command: readonly string[]
  readonly healthCheck: readonly string[]
}

/** Every step of the Dockerfile of this package, one line each. */
async function readSteps(): Promise<Step[]> {
  const text = await readFile(packageFile('Dockerfile'), 'utf8')
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return lines.map((line) => {
    const [, instruction, rest] = /^([A-Z]+) (.*[^\\])$/.exec(line) ?? []
    if (instruction === undefined) throw new Error(`not a step of one line: ${line}`)
    return { instruction, text: rest! }
  })
}

/** What each stage, the image itself last, takes from the repository. */
export async function takenFromContext(): Promise<string[][]> {
  const stages: string[][] = []
  for (const { instruction, text } of await readSteps()) {
    if (instruction === 'FROM') stages.push([])
    else if (instruction === 'COPY' && !text.startsWith('--from')) stages.at(-1)!.push(...text.split(' ').slice(0, -1))
  }
  return stages
}

/** What .dockerignore lets through: it refuses all, then names those that may pass. */
export async function passingToContext(): Promise<string[]> {
  const lines = (await readFile(packageFile('.dockerignore'), 'utf8')).split('\n')
  const [all, ...passing] = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (all !== '*') throw new Error('.dockerignore does not begin with *')
  const wrong = passing.find((line) => !/^![\w./-]+$/.test(line))
  if (wrong !== undefined) throw new Error(`.dockerignore: cannot read ${wrong}`)
  return passing.map((line) => line.slice(1))
}

/** Builds the last stage below `home`. Steps run as whoever calls, and find programs where this process does. */
export async function buildImage(home: string): Promise<Image> {
  const context = join(home, 'context')
  for (const name of await passingToContext()) await cp(packageFile(name), join(context, name), { recursive: true })
  const stages = new Map<string, Stage>()
  let stage: Stage | undefined
  for (const { instruction, text } of await readSteps()) {
    if (instruction === 'FROM') {
      const [, name = 'final'] = /^node:\S+(?: AS (\w+))?$/.exec(text) ?? []
      stage = new Stage(join(home, name))
      stages.set(name, stage)
    } else await stage!.take(instruction, text, (name) => (name === undefined ? context : stages.get(name)!.root))
  }
  return stage!
}

class Stage implements Image {
  readonly root: string
  directory: string
  env: Record<string, string> = {}
  user: string | undefined
  command: string[] = []
  healthCheck: string[] = []

  constructor(root: string) {
    this.root = root
    this.directory = root
  }

  async take(instruction: string, text: string, rootOf: (stage?: string) => string): Promise<void> {
    if (instruction === 'WORKDIR') {
      this.directory = join(this.root, text)
      await mkdir(this.directory, { recursive: true })
    } else if (instruction === 'ENV') Object.assign(this.env, Object.fromEntries(text.split(' ').map(pair)))
    else if (instruction === 'COPY') await this.#copy(text, rootOf)
    else if (instruction === 'RUN') await this.#run(text)
    else if (instruction === 'USER') this.user = text
    else if (instruction === 'CMD') this.command = JSON.parse(text)
    else if (instruction === 'HEALTHCHECK') this.healthCheck = JSON.parse(text.replace(/^.* CMD /, ''))
    else if (!['VOLUME', 'EXPOSE'].includes(instruction)) throw new Error(`cannot carry out ${instruction}`)
  }

  async #copy(text: string, rootOf: (stage?: string) => string): Promise<void> {
    const [, from, list] = /^(?:--from=(\w+) )?(.+)$/.exec(text)!
    const names = list!.split(' ')
    const target = names.pop()!
    for (const name of names) {
      const to = target.endsWith('/') ? join(this.directory, target, basename(name)) : join(this.directory, target)
      // An earlier stage is not needed any more: what is taken from it may as well be moved.
      if (from !== undefined) await rename(join(rootOf(from), name), to)
      else await cp(join(rootOf(from), name), to, { recursive: true, verbatimSymlinks: true })
    }
  }

  /** Absolute paths lie below the root of the stage, and its users are not known here. */
  async #run(text: string): Promise<void> {
    const script = text.replaceAll(/ (\/\S+)/g, ` ${this.root}$1`).replaceAll(/ --(owner|group)=\w+/g, '')
    const { PATH, HOME } = process.env
    const npm = { npm_config_prefer_offline: 'true', npm_config_audit: 'false', npm_config_update_notifier: 'false' }
    const env = { PATH, HOME, ...npm, ...this.env }
    await run('sh', ['-ec', script], { cwd: this.directory, env })
  }
}

const pair = (text: string): [string, string] => text.split('=') as [string, string]
