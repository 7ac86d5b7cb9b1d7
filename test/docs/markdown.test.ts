// Every page of the repository: where its links lead, and which names it uses.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileVariable, SETTINGS } from '../../src/config/settings.ts'
import { L2PS_ERRORS, SIGNALING_ERRORS } from '../../src/protocol/errors.ts'
import { packageFile } from '../../src/util/package-root.ts'

const PAGES = readdirSync(packageFile('.'))
  .concat(['docs', 'client', 'test/vectors', 'migrations', 'examples', 'deploy'].flatMap(filesBelow))
  .filter((file) => file.endsWith('.md'))

function filesBelow(directory: string): string[] {
  const files = readdirSync(packageFile(directory), { recursive: true, encoding: 'utf8' })
  return files.filter((file) => !file.includes('node_modules')).map((file) => join(directory, file))
}

const textOf = (page: string) => readFileSync(packageFile(page), 'utf8')

/** The places in a page that a link can name: its own anchors, and its headings as GitHub calls them. */
function anchorsOf(page: string): Set<string> {
  const text = textOf(page)
  const ids = [...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!)
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, words]) =>
    words!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
  )
  return new Set([...ids, ...headings])
}

test('every link between the pages leads somewhere, down to the section it names', () => {
  assert.ok(PAGES.length > 12, 'the pages are found')
  let links = 0
  for (const page of PAGES) {
    for (const [, target] of textOf(page).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      const [path, anchor] = target!.split('#') as [string, string?]
      const file = path === '' ? page : join(dirname(page), path)
      assert.ok(existsSync(packageFile(file)), `${page}: ${target}`)
      if (anchor !== undefined && statSync(packageFile(file)).isFile()) {
        assert.ok(anchorsOf(file).has(anchor), `${page}: ${target}`)
      }
      links += 1
    }
  }
  assert.ok(links > 100, 'the links are found')
})

test('every name in capitals is a setting, an error code, or a variable of docker-compose.yml', () => {
  const compose = textOf('docker-compose.yml')
  const names = new Set([
    ...SETTINGS.flatMap((setting) => [setting.name as string, fileVariable(setting)]),
    ...Object.keys({ ...SIGNALING_ERRORS, ...L2PS_ERRORS })
  ])
  for (const page of ['SECURITY.md', 'deploy', 'protocol', 'promises', 'architecture']) {
    const file = page.includes('.') ? page : `docs/${page}.md`
    for (const [, name] of textOf(file).matchAll(/`([A-Z0-9]+(?:_[A-Z0-9]+)+)[=`]/g)) {
      assert.ok(names.has(name!) || compose.includes(`\${${name}:-`), `${file}: ${name}`)
    }
  }
})
