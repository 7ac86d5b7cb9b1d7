import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { parse } from 'yaml'
import { readConfig } from '../../src/config/read.ts'
import { packageFile, VERSION } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { findProgram, needs } from '../helpers/programs.ts'

const run = promisify(execFile)

const Size = Type.String({ pattern: '^(\\d+|\\$\\{\\w+:-\\d+)[mg]\\}?$' })
const Limit = Type.Integer({ minimum: 1 })

/** What we hold every service of docker-compose.yml to. */
const Service = Type.Object({
  image: Type.String({
    pattern: '^[a-z0-9/-]+:v?\\d+\\.\\d+(\\.\\d+)?(-[a-z]+)?$',
    description: 'pinned to a version'
  }),
  user: Type.String({ pattern: '^(?!root\\b|0\\b)\\w+$', description: 'not root' }),
  read_only: Type.Literal(true),
  cap_drop: Type.Tuple([Type.Literal('ALL')]),
  cap_add: Type.Optional(Type.Never()),
  privileged: Type.Optional(Type.Never()),
  pid: Type.Optional(Type.Never()),
  security_opt: Type.Array(Type.Literal('no-new-privileges:true'), { minItems: 1 }),
  logging: Type.Object({
    driver: Type.String(),
    options: Type.Object({ 'max-size': Type.String(), 'max-file': Type.String() })
  }),
  mem_limit: Size,
  cpus: Limit,
  pids_limit: Limit,
  ulimits: Type.Object({ nofile: Type.Object({ soft: Limit, hard: Limit }) }),
  healthcheck: Type.Optional(
    Type.Union([Type.Object({ test: Type.Array(Type.String()) }), Type.Object({ disable: Type.Literal(true) })])
  ),
  build: Type.Optional(Type.Literal('.')),
  profiles: Type.Optional(Type.Array(Type.String())),
  network_mode: Type.Optional(Type.Literal('none')),
  networks: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  ports: Type.Optional(Type.Array(Type.String())),
  volumes: Type.Array(Type.String({ pattern: '^(\\./)?[\\w./-]+:/[\\w./-]+(:ro)?$' })),
  environment: Type.Optional(Type.Record(Type.String(), Type.String())),
  depends_on: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({
        condition: Type.Union([Type.Literal('service_healthy'), Type.Literal('service_completed_successfully')])
      })
    )
  )
})
const Compose = Type.Object({
  services: Type.Record(Type.String(), Service),
  networks: Type.Record(Type.String(), Type.Union([Type.Null(), Type.Object({ internal: Type.Boolean() })])),
  volumes: Type.Record(Type.String(), Type.Null())
})
type Service = Static<typeof Service>

const file: Static<typeof Compose> = parse(readFileSync(packageFile('docker-compose.yml'), 'utf8'), { merge: true })
const services = Object.entries(file.services)

/** Where a service sees its secrets, and the volume they come from. */
const SECRETS = '/run/relay-secrets'
const secretVolume = ({ volumes }: Service) => volumes.find((mount) => mount.includes(`:${SECRETS}:`))?.split(':')[0]

/** A value as it is when nobody sets the variables in it. */
const unset = (value: string) => value.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')

const variables = services.flatMap(([name, service]) =>
  Object.entries(service.environment ?? {}).map(([variable, value]) => ({ name, service, variable, value }))
)

test('docker-compose takes the file as it is', needs('docker-compose'), async () => {
  const { stdout } = await run(findProgram('docker-compose')!, ['-f', packageFile('docker-compose.yml'), 'config'])
  const named = Object.keys(parse(stdout).services)
  // Compose before 2.0 names services of profiles, too.
  for (const [name, { profiles }] of services) assert.ok(named.includes(name) || profiles !== undefined, name)
})

test('every service is confined: pinned, not root, read-only, without capabilities, limited', () => {
  const faults = [...Value.Errors(Compose, file)].map(({ path, message }) => `${path}: ${message}`)
  assert.deepEqual(faults, [])
  assert.deepEqual(Object.keys(file.services), [
    ...['relay', 'database', 'prometheus', 'alertmanager', 'grafana', 'secrets']
  ])
  for (const { image, build } of Object.values(file.services)) {
    if (build !== undefined) assert.equal(image, `demos-relay:${VERSION}`)
  }
})

test('every service waits for what it needs: until it is healthy, or has ended well', () => {
  const isChecked = ({ build, healthcheck }: Service) =>
    healthcheck === undefined ? build !== undefined : 'test' in healthcheck // what is built has the Dockerfile's
  for (const [name, service] of services) {
    if (name !== 'secrets') assert.ok(isChecked(service), `${name} has no health check`)
    for (const [needed, { condition }] of Object.entries(service.depends_on ?? {})) {
      assert.equal(condition, needed === 'secrets' ? 'service_completed_successfully' : 'service_healthy')
    }
    if (secretVolume(service) !== undefined)
      assert.ok(service.depends_on?.secrets, `${name} would not find its secrets`)
  }
  assert.ok(file.services.relay!.depends_on?.database)
})

test('the world reaches the listeners of the relay, this machine its administration and the dashboards, and nobody the database', () => {
  const published = Object.fromEntries(services.map(([name, { ports }]) => [name, ports?.map(unset)]))
  assert.deepEqual(published, {
    relay: ['3005:3005', '3006:3006', '127.0.0.1:3007:3007'],
    database: undefined,
    prometheus: ['127.0.0.1:9090:9090'],
    alertmanager: ['127.0.0.1:9093:9093'],
    grafana: ['127.0.0.1:3000:3000'],
    secrets: undefined
  })
  const { database, relay } = file.services
  assert.deepEqual(database!.networks, ['storage'])
  assert.equal(file.networks.storage?.internal, true)
  assert.deepEqual(
    services.flatMap(([name, { networks }]) => (networks?.includes('storage') ? [name] : [])),
    ['relay', 'database']
  )
  assert.ok(relay!.ulimits.nofile.soft > Number(readConfig({}).config!.MAX_CONNECTIONS))
})

test('a secret is a file that one service sees', () => {
  const named = variables.filter(({ variable }) => /PASSWORD|TOKEN|SECRET|KEY|DATABASE_URL/.test(variable))
  assert.equal(named.length, 4)
  for (const { variable, value } of named) {
    assert.match(variable, /_FILE$/)
    assert.ok(value.startsWith(`${SECRETS}/`), variable)
  }
  const volumes = services.flatMap(([, service]) => secretVolume(service) ?? [])
  assert.deepEqual(volumes.toSorted(), ['database-secrets', 'grafana-secrets', 'relay-secrets'])
  for (const [, service] of services) {
    for (const mount of service.volumes) if (/^\.|relay-secrets:ro|:\/run/.test(mount)) assert.match(mount, /:ro$/)
  }
})

async function makeSecrets(t: TestContext): Promise<{ directory: string; make: () => Promise<unknown> }> {
  const directory = await temporaryDirectory(t)
  return { directory, make: () => run('sh', [packageFile('scripts/make-secrets.sh'), directory]) }
}

/** Every file below the directory with what it holds. */
async function contents(directory: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of (await readdir(directory, { recursive: true })).toSorted()) {
    const path = join(directory, name)
    if ((await stat(path)).isFile()) found[name] = await readFile(path, 'utf8')
  }
  return found
}

test('make-secrets.sh makes the files that are named, where the services look, and keeps those that are there', async (t) => {
  const { directory, make } = await makeSecrets(t)
  await make()
  const made = await contents(directory)
  const mounts = file.services.secrets!.volumes
  const named = variables.filter(({ variable }) => variable.endsWith('_FILE'))
  const wanted = named.map(({ service, value }) => {
    const place = mounts.find((mount) => mount.startsWith(`${secretVolume(service)}:/secrets/`))!.split(':/secrets/')[1]
    return value.replace(SECRETS, place!)
  })
  assert.deepEqual(Object.keys(made), wanted.toSorted())
  for (const name of wanted) {
    const mode = name.startsWith('relay/') ? 0o400 : 0o444 // the relay alone is the user who made them
    assert.equal((await stat(join(directory, name))).mode & 0o777, mode)
  }
  assert.equal(new Set(Object.values(made)).size, 4)

  await make()
  assert.deepEqual(await contents(directory), made)
  await rm(join(directory, 'relay/database-url')) // as after an interrupted run: its other half is kept
  await make()
  assert.deepEqual(await contents(directory), made)
})

test('the relay of the file has settings that are fine, with the secrets that are made', async (t) => {
  const { directory, make } = await makeSecrets(t)
  await make()
  const shown = Object.entries(file.services.relay!.environment!).map(([variable, value]) => [
    variable,
    unset(value).replace(SECRETS, join(directory, 'relay'))
  ])
  const { config, mistakes, warnings } = readConfig(Object.fromEntries(shown))
  assert.deepEqual([mistakes, warnings], [undefined, []])
  assert.match(config!.ADMIN_TOKEN!, /^[\w-]{40}$/)
  assert.match(config!.DATABASE_URL!, /^postgres:\/\/relay:[\w-]{40}@database:5432\/relay$/)
})
