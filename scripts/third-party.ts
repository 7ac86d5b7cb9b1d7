/**
 * `npm run third-party`: writes what the server consists of besides its own code, for those who pass it on: `sbom.json`
 * (CycloneDX, made by npm) and `THIRD_PARTY_NOTICES.md` with every licence, into dist/. Fails when a package names no licence,
 * or one that is not on the list.
 */
import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageFile } from '../src/util/package-root.ts'

const run = promisify(execFile)

/** Licences that may be in the server: permissive ones. */
const ALLOWED = ['MIT', 'ISC', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'Unlicense', '0BSD']

interface Component {
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly licences: readonly string[]
}

interface Sbom {
  readonly components: readonly {
    readonly version: string
    readonly purl: string
    readonly licenses?: readonly { readonly license?: { readonly id?: string; readonly name?: string } }[]
  }[]
}

/** What npm says is in the installed server, without what is for development. */
export async function readSbom(): Promise<{ text: string; components: Component[] }> {
  const { stdout: text } = await run('npm', ['sbom', '--sbom-format=cyclonedx', '--omit=dev'], {
    ...{ cwd: packageFile('.'), maxBuffer: 64 * 1_024 * 1_024 }
  })
  const { components } = JSON.parse(text) as Sbom
  return {
    text,
    components: components.map(({ version, purl, licenses = [] }) => ({
      ...{ name: nameOf(purl), version, purl },
      licences: licenses.flatMap(({ license }) => license?.id ?? license?.name ?? [])
    }))
  }
}

/** `pkg:npm/%40fastify/helmet@13.2.0` → `@fastify/helmet`. */
const nameOf = (purl: string) => decodeURIComponent(purl.replace(/^pkg:npm\//, '').replace(/@[^@]*$/, ''))

/** A line for each component whose licence is missing, or not allowed. */
export const licenceFaults = (components: readonly Component[]): string[] =>
  components.flatMap(({ name, version, licences }) => {
    if (licences.length === 0) return [`${name} ${version} names no licence`]
    const other = licences.filter((licence) => !ALLOWED.includes(licence))
    return other.map((licence) => `${name} ${version} has the licence ${licence}, which is not on the list`)
  })

/** The text of a licence, as its package has it; undefined: it ships none. */
async function licenceText(name: string): Promise<string | undefined> {
  const directory = packageFile(`node_modules/${name}`)
  const names = await readdir(directory).catch(() => [])
  const file = names.find((each) => /^(licen[cs]e|copying|unlicense)(\.(md|txt))?$/i.test(each))
  return file === undefined ? undefined : (await readFile(join(directory, file), 'utf8')).trim()
}

export async function noticesOf(components: readonly Component[]): Promise<string> {
  const parts = await Promise.all(
    components.map(async ({ name, version, licences }) => {
      const text = (await licenceText(name)) ?? `(Its package has no text of the licence ${licences.join(', ')}.)`
      return `## ${name} ${version}\n\n${licences.join(', ')}\n\n${text.replaceAll(/^/gm, '    ')}\n`
    })
  )
  return `# Third-party notices\n\nThe server contains these packages.\n\n${parts.join('\n')}`
}

if (process.argv[1] === packageFile('scripts/third-party.ts')) {
  const { text, components } = await readSbom()
  const faults = licenceFaults(components)
  if (faults.length > 0) throw new Error(faults.join('\n'))
  await mkdir(packageFile('dist'), { recursive: true })
  await writeFile(packageFile('dist/sbom.json'), text)
  await writeFile(packageFile('dist/THIRD_PARTY_NOTICES.md'), await noticesOf(components))
  console.log(`dist/sbom.json, dist/THIRD_PARTY_NOTICES.md: ${components.length} packages`)
}
