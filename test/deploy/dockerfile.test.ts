// What can be told of the image without building it; dockerfile.long.test.ts builds and runs it.
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { packageFile } from '../../src/util/package-root.ts'
import { passingToContext, takenFromContext } from './dockerfile.ts'

test('all that the build and the image take is there, and only that passes .dockerignore', async () => {
  const taken = (await takenFromContext()).flat()
  for (const name of taken) assert.ok(existsSync(packageFile(name)), name)
  assert.deepEqual([...new Set(taken)].sort(), (await passingToContext()).sort())
})

test('the build has all that it compiles', async () => {
  const [build] = await takenFromContext()
  const { include } = JSON.parse(readFileSync(packageFile('tsconfig.build.json'), 'utf8'))
  for (const path of include) assert.ok(build!.includes(path), path)
})

test('the package ships what the image takes from the repository', async () => {
  const { files } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8'))
  for (const name of (await takenFromContext()).at(-1)!) assert.ok(files.includes(name), name)
})
