// docker-compose.cluster.yml: what it has in common with docker-compose.yml, and what several relays need.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { readConfig } from '../../src/config/read.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { findProgram, needs } from '../helpers/programs.ts'

interface Service {
  readonly image: string
  readonly user: string
  readonly ulimits: { readonly nofile: { readonly soft: number } }
  readonly networks?: readonly string[]
  readonly ports?: readonly string[]
  readonly volumes: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: object
  readonly command?: readonly string[]
  readonly [key: string]: unknown
}
interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
}

const run = promisify(execFile)
const FILE = packageFile('docker-compose.cluster.yml')
const read = (path: string): Compose => parse(readFileSync(path, 'utf8'), { merge: true })
const cluster = read(FILE)
const alone = read(packageFile('docker-compose.yml'))
const services = Object.entries(cluster.services)
const relay = cluster.services.relay!

const CONFINED = ['read_only', 'cap_drop', 'security_opt', 'logging', 'cap_add', 'privileged', 'pid'] as const
const LIMITS = ['mem_limit', 'cpus', 'pids_limit', 'ulimits'] as const
const SECRETS = '/run/relay-secrets'

const pick = (service: Service, keys: readonly string[]) =>
  Object.fromEntries(keys.flatMap((key) => (key in service ? [[key, service[key]]] : [])))

/** A value as it is when nobody sets the variables in it. */
const unset = (value: string) => value.replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')

test('docker-compose takes the file for several relays as it is', needs('docker-compose'), async () => {
  const { stdout } = await run(findProgram('docker-compose')!, ['-f', FILE, 'config'])
  const named = Object.keys(parse(stdout).services)
  named.push('alertmanager') // of a profile: named by Compose before 2.0 alone
  assert.deepEqual([...new Set(named)].toSorted(), [
    'alertmanager',
    'database',
    'grafana',
    'haproxy',
    'nats',
    'prometheus',
    'relay',
    'secrets'
  ])
})

test('its services are confined, limited and pinned as those of docker-compose.yml', () => {
  for (const [name, service] of services) {
    const model = alone.services[name] ?? alone.services.relay!
    assert.deepEqual(pick(service, CONFINED), pick(model, CONFINED), name)
    assert.deepEqual(Object.keys(pick(service, LIMITS)), [...LIMITS], name)
    assert.doesNotMatch(service.user, /^(root|0)\b/, name)
    assert.match(service.image, /:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$/, name)
    if (name in alone.services) assert.deepEqual([service.image, service.user], [model.image, model.user])
  }
})

test('services that others wait for have a health check, and the relays wait for database, NATS and secrets', () => {
  for (const [name, { depends_on = {} }] of services) {
    for (const [needed, { condition }] of Object.entries(depends_on)) {
      const ends = needed === 'secrets'
      assert.equal(condition, ends ? 'service_completed_successfully' : 'service_healthy', `${name} ${needed}`)
      if (!ends && needed !== 'relay') assert.ok(cluster.services[needed]!.healthcheck, needed) // that is the image's
    }
  }
  assert.deepEqual(Object.keys(relay.depends_on!), ['database', 'nats', 'secrets'])
})

test('only HAProxy is reached from outside, and only relays reach NATS and the database', () => {
  const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${unset(port)}`))
  assert.deepEqual(published, [
    ...['haproxy 3005:3005', 'haproxy 3006:3006', 'haproxy 127.0.0.1:3007:3007'],
    ...['prometheus 127.0.0.1:9090:9090', 'alertmanager 127.0.0.1:9093:9093', 'grafana 127.0.0.1:3000:3000']
  ])
  const on = (network: string) => services.flatMap(([name, { networks }]) => (networks?.includes(network) ? name : []))
  assert.deepEqual(
    [on('front'), on('bus'), on('storage')],
    [
      ['relay', 'haproxy'],
      ['relay', 'nats'],
      ['relay', 'database']
    ]
  )
  for (const network of ['front', 'bus', 'storage']) assert.equal(cluster.networks[network]?.internal, true, network)
})

test('a relay can be there many times: no port, no name and no volume to write to is its own', () => {
  for (const key of ['ports', 'container_name', 'hostname']) assert.equal(relay[key], undefined, key)
  for (const mount of relay.volumes) assert.match(mount, /:ro$/)
  assert.match(readFileSync(packageFile('Dockerfile'), 'utf8'), /^VOLUME \/data$/m)
  const { MAX_CONNECTIONS, DATABASE_POOL_SIZE } = readConfig({}).config!
  assert.ok(relay.ulimits.nofile.soft > MAX_CONNECTIONS)
  assert.ok(cluster.services.haproxy!.ulimits.nofile.soft > 2 * MAX_CONNECTIONS)
  const connections = Number(/max_connections=(\d+)/.exec(String(cluster.services.database!.command))![1])
  assert.ok(connections >= 16 * (DATABASE_POOL_SIZE + 2), 'PostgreSQL has room for 16 relays')
})

test('the relays have settings that are fine, with secrets that are made once and shared', async (t) => {
  const directory = await temporaryDirectory(t)
  const make = () => run('sh', [packageFile('scripts/make-cluster-secrets.sh'), directory])
  await make()
  const key = await readFile(join(directory, 'relay/node.key'), 'utf8')
  await make()
  assert.equal(await readFile(join(directory, 'relay/node.key'), 'utf8'), key)
  assert.equal((await stat(join(directory, 'relay/node.key'))).mode & 0o777, 0o400)

  const shown = Object.entries(relay.environment!).map(([variable, value]) => [
    variable,
    unset(value).replace(SECRETS, join(directory, 'relay'))
  ])
  const { config, mistakes, warnings } = readConfig(Object.fromEntries(shown))
  assert.deepEqual([mistakes, warnings], [undefined, []])
  assert.match(config!.DATABASE_URL!, /^postgres:\/\/relay:[\w-]{40}@database:5432\/relay$/)
  assert.equal(new URL(config!.NATS_URL!).hostname, 'nats')
  const { createPrivateKey } = await import('node:crypto')
  assert.equal(createPrivateKey(await readFile(config!.NODE_KEY_FILE!)).asymmetricKeyType, 'ed25519')
  assert.equal(config!.RELAY_NAME, undefined, 'each relay is called like its container')
})

test('HAProxy and Prometheus find the relays by the name and port of their service', () => {
  const haproxy = readFileSync(packageFile('deploy/haproxy-cluster.cfg'), 'utf8')
  const { SIGNALING_SERVER_PORT, L2PS_MESSAGING_PORT } = readConfig({}).config!
  assert.match(haproxy, new RegExp(`presetenv RELAY_SIGNALING relay:${SIGNALING_SERVER_PORT}\n`))
  assert.match(haproxy, new RegExp(`presetenv RELAY_L2PS relay:${L2PS_MESSAGING_PORT}\n`))
  assert.match(haproxy, new RegExp(`presetenv RELAY_ADMIN relay:${relay.environment!.ADMIN_PORT} `))
  const [scrape] = parse(readFileSync(packageFile('deploy/prometheus/cluster.yml'), 'utf8')).scrape_configs
  assert.deepEqual(scrape.dns_sd_configs[0].names, ['relay'])
  assert.equal(String(scrape.dns_sd_configs[0].port), relay.environment!.ADMIN_PORT)
  assert.equal(scrape.job_name, 'demos-relay')
})
