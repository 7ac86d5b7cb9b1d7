import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileVariable, SETTINGS } from '../../src/config/settings.ts'
import { packageFile } from '../../src/util/package-root.ts'

const PAGES = ['SECURITY.md', 'docs/deploy.md']
const textOf = (page: string) => readFileSync(packageFile(page), 'utf8')

test('every link of the pages about running it leads somewhere', () => {
  for (const page of PAGES) {
    for (const [, target] of textOf(page).matchAll(/\]\(([^)#]+)\)/g)) {
      assert.ok(existsSync(packageFile(join(dirname(page), target!))), `${page}: ${target}`)
    }
  }
})

test('every variable they name is a setting, or one of docker-compose.yml', () => {
  const compose = textOf('docker-compose.yml')
  const settings = new Set(SETTINGS.flatMap((setting) => [setting.name as string, fileVariable(setting)]))
  for (const page of PAGES) {
    for (const [, name] of textOf(page).matchAll(/`([A-Z0-9]+(?:_[A-Z0-9]+)+)[=`]/g)) {
      assert.ok(settings.has(name!) || compose.includes(`\${${name}:-`), `${page}: ${name}`)
    }
  }
})
