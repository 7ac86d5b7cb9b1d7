// The client as a package: it is built and packed as for the registry, and an application of its own uses it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { packageFile } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { startFakeServer } from './fake-server.ts'

const run = promisify(execFile)
const compiler = packageFile('node_modules/typescript/bin/tsc')

const APPLICATION = `
import { createIdentity, createSignalingClient, RelayError, type SignalingClient } from 'demos-relay-client'
const client: SignalingClient = createSignalingClient({
  url: process.argv[2]!, clientId: 'alice', identity: await createIdentity(), reconnect: false
})
client.events.on('connected', ({ again }: { again: boolean }) => console.log('again:', again))
await client.connect()
await client.close()
const refused = await client.discover().catch((error) => error instanceof RelayError && error.errorType)
console.log(refused)
`

test('an application that installs the package type-checks, without skipLibCheck, and connects', async (t) => {
  const home = await temporaryDirectory(t)
  const installed = join(home, 'node_modules/demos-relay-client')
  await mkdir(installed, { recursive: true })
  await run(process.execPath, [
    compiler,
    '-p',
    packageFile('client/tsconfig.json'),
    '--outDir',
    join(installed, 'dist')
  ])
  for (const name of ['package.json', 'README.md', 'LICENSE'])
    await cp(packageFile(`client/${name}`), join(installed, name))
  for (const name of ['@noble', 'ws', '@types']) {
    await symlink(packageFile(`node_modules/${name}`), join(home, 'node_modules', name))
  }
  await writeFile(join(home, 'package.json'), '{ "type": "module" }')
  await writeFile(join(home, 'application.ts'), APPLICATION)
  const options = [
    '--strict',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--types',
    'node',
    '--skipLibCheck',
    'false'
  ]
  await run(process.execPath, [compiler, ...options, 'application.ts'], { cwd: home })

  const { url } = await startFakeServer(t)
  const { stdout } = await run(process.execPath, ['application.js', url], { cwd: home })
  assert.equal(stdout, 'again: false\nCLOSED\n')

  const packing = ['pack', '--dry-run', '--json', '--ignore-scripts']
  const [{ files }] = JSON.parse((await run('npm', packing, { cwd: installed })).stdout)
  const names: string[] = files.map(({ path }: { path: string }) => path)
  for (const name of ['LICENSE', 'README.md', 'package.json', 'dist/index.js', 'dist/index.d.ts']) {
    assert.ok(names.includes(name), name)
  }
  assert.deepEqual(
    names.filter((name) => !/^(?:LICENSE|README\.md|package\.json|dist\/[\w-]+(?:\.d\.ts|\.js))$/.test(name)),
    []
  )
})
