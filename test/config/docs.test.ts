import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { generatedFiles } from '../../scripts/generated-files.ts'
import { readConfig } from '../../src/config/read.ts'
import { SETTINGS } from '../../src/config/settings.ts'
import { configHelp, envExample, settingsPage } from '../../src/docs/settings.ts'
import { packageFile } from '../../src/util/package-root.ts'

test('every generated file says what the code says (if not: npm run docs)', () => {
  for (const { path, text } of generatedFiles()) assert.equal(readFileSync(packageFile(path), 'utf8'), text, path)
})

test('the page, the example and the help name every setting with its meaning', () => {
  const flat = (text: string) => text.replaceAll(/\n[# ]*/g, ' ')
  for (const document of [settingsPage(), flat(envExample()), flat(configHelp())]) {
    for (const { name, description } of SETTINGS) {
      assert.ok(document.includes(name), name)
      assert.ok(document.includes(description), description)
    }
  }
})

test('.env.example changes nothing as it is, and nothing when all of it is uncommented', () => {
  const defaults = readConfig({}).config
  assert.deepEqual(parseEnv(envExample()), {})
  const uncommented = envExample().replaceAll(/^# ([A-Z0-9_]+=)/gm, '$1')
  const env = parseEnv(uncommented)
  assert.equal(Object.keys(env).length, SETTINGS.length)
  assert.deepEqual(readConfig(env).config, defaults)
})

test('the help fits a terminal of 80 columns', () => {
  for (const line of configHelp().split('\n')) assert.ok(line.length <= 80, line)
})

test('the README leads to the settings', () => {
  assert.match(readFileSync(packageFile('README.md'), 'utf8'), /\(docs\/settings\.md\)/)
})
