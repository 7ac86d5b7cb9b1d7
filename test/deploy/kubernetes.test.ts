// The manifests of deploy/kubernetes say nothing that the server or another manifest does not know.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { readConfig } from '../../src/config/read.ts'
import { fileVariable, SETTINGS } from '../../src/config/settings.ts'
import { packageFile, VERSION } from '../../src/util/package-root.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { startTestServer } from '../helpers/server.ts'

type Labels = Readonly<Record<string, string>>
interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Labels }
  // biome-ignore lint/suspicious/noExplicitAny: each kind has a shape of its own, which a test states by reading it
  readonly [key: string]: any
}

const DIRECTORY = packageFile('deploy/kubernetes')
const kustomization = parse(readFileSync(join(DIRECTORY, 'kustomization.yaml'), 'utf8'))

const files = new Map<string, Manifest[]>(
  readdirSync(DIRECTORY)
    .filter((name) => name !== 'kustomization.yaml')
    .map((name) => [name, documentsOf(name)])
)
const manifests = [...files.values()].flat()

function documentsOf(name: string): Manifest[] {
  const documents = parseAllDocuments(readFileSync(join(DIRECTORY, name), 'utf8'))
  for (const { errors } of documents) assert.deepEqual(errors, [], name)
  return documents.map((document) => document.toJS())
}

function find(kind: string, name = 'relay'): Manifest {
  const found = manifests.filter((manifest) => manifest.kind === kind && manifest.metadata.name === name)
  assert.equal(found.length, 1, `${kind} ${name}`)
  return found[0]!
}

const relay = find('Deployment')
const pod = relay.spec.template.spec
const container = pod.containers[0]
const ports = new Map<string, number>(
  container.ports.map(({ name, containerPort }: { name: string; containerPort: number }) => [name, containerPort])
)
const settings: Labels = find('ConfigMap').data

test('the kustomization lists every manifest but the example of the secret, and names the image of this version', () => {
  const listed = [...kustomization.resources, 'secret.example.yaml']
  assert.deepEqual([...files.keys()].toSorted(), listed.toSorted())
  for (const { apiVersion, kind, metadata } of manifests) assert.ok(apiVersion && kind && metadata.name)
  assert.equal(kustomization.images[0].name, container.image)
  assert.equal(kustomization.images[0].newTag, VERSION)
  assert.equal(kustomization.namespace, find('Namespace', 'demos-relay').metadata.name)
})

test('the relays have settings of ours that are fine, and secrets that the example has', async (t) => {
  const env: { name: string; value?: string; valueFrom?: object }[] = container.env
  const names = [...Object.keys(settings), ...env.map(({ name }) => name)]
  const known = SETTINGS.flatMap((setting) => (setting.secret ? [setting.name, fileVariable(setting)] : [setting.name]))
  for (const name of names) assert.ok(known.includes(name), `${name} is not a setting`)

  const directory = await temporaryDirectory(t)
  const secrets: Labels = find('Secret').stringData
  const [{ secret }] = pod.volumes.filter(({ name }: { name: string }) => name === 'secrets')
  const mode = secret.defaultMode
  for (const [name, text] of Object.entries(secrets)) await writeFile(join(directory, name), text, { mode })
  const mount = container.volumeMounts.find(({ name }: { name: string }) => name === 'secrets').mountPath
  const here = env.map(({ name, value = 'relay-7d4b9-x2xkp' }) => [name, value.replace(mount, directory)])
  const { config, mistakes, warnings } = readConfig({ ...settings, ...Object.fromEntries(here) })
  assert.deepEqual([mistakes, warnings], [undefined, []])
  assert.equal(config!.RELAY_NAME, 'relay-7d4b9-x2xkp')
  for (const { value = '' } of env.filter(({ value }) => value?.startsWith(mount))) {
    assert.ok(Object.keys(secrets).includes(value.slice(mount.length + 1)), value)
  }
  assert.equal(secret.secretName, find('Secret').metadata.name)
})

/** The manifests with pods, by their labels. */
const podLabels: Labels[] = manifests
  .filter(({ kind }) => kind === 'Deployment')
  .map((it) => it.spec.template.metadata.labels)
const selects = (selector: Labels, labels: Labels | undefined) =>
  Object.entries(selector).every(([label, value]) => labels?.[label] === value)

test('every selector finds the labels that it is meant for, and nothing else', () => {
  const ofRelays: Labels[] = [
    ...[relay.spec.selector.matchLabels, find('Service').spec.selector, find('Service', 'relay-admin').spec.selector],
    ...[find('PodDisruptionBudget').spec.selector.matchLabels, find('NetworkPolicy').spec.podSelector.matchLabels],
    ...pod.topologySpreadConstraints.map(
      (it: { labelSelector: { matchLabels: Labels } }) => it.labelSelector.matchLabels
    )
  ]
  const ofNats: Labels[] = [
    ...[find('Deployment', 'nats').spec.selector.matchLabels, find('Service', 'nats').spec.selector],
    ...[find('NetworkPolicy', 'nats').spec.podSelector.matchLabels]
  ]
  const own = relay.spec.template.metadata.labels
  for (const selector of ofRelays)
    assert.deepEqual(
      podLabels.filter((labels) => selects(selector, labels)),
      [own]
    )
  for (const selector of ofNats) {
    assert.deepEqual(
      podLabels.filter((labels) => selects(selector, labels)),
      [find('Deployment', 'nats').spec.template.metadata.labels]
    )
  }
  const monitored = find('ServiceMonitor').spec.selector.matchLabels
  const services = manifests.filter(({ kind, metadata }) => kind === 'Service' && selects(monitored, metadata.labels))
  const [admin] = services
  assert.deepEqual(services, [find('Service', 'relay-admin')])
  assert.equal(admin!.metadata.labels![find('ServiceMonitor').spec.jobLabel], 'demos-relay')
})

test('ports are those that the relay listens on, and are named the same everywhere', () => {
  const { SIGNALING_SERVER_PORT, L2PS_MESSAGING_PORT } = readConfig({}).config!
  assert.deepEqual(
    [...ports],
    [
      ['signaling', SIGNALING_SERVER_PORT],
      ['l2ps', L2PS_MESSAGING_PORT],
      ['admin', Number(settings.ADMIN_PORT)]
    ]
  )
  const served = [...find('Service').spec.ports, ...find('Service', 'relay-admin').spec.ports]
  for (const { name, port, targetPort } of served) assert.equal(ports.get(targetPort), port, name)
  const names = served.map(({ name }: { name: string }) => name)
  for (const { port } of find('ServiceMonitor').spec.endpoints) assert.ok(names.includes(port), port)
  for (const { ports: allowed } of find('NetworkPolicy').spec.ingress) {
    for (const { port } of allowed) assert.ok(ports.has(port), port)
  }
  const nats = Number(new URL(settings.NATS_URL!).port)
  assert.equal(new URL(settings.NATS_URL!).hostname, find('Service', 'nats').metadata.name)
  assert.equal(find('Service', 'nats').spec.ports[0].port, nats)
  assert.ok(find('Deployment', 'nats').spec.template.spec.containers[0].args.includes(`--port=${nats}`))
  const outside = find('NetworkPolicy').spec.egress.flatMap(({ ports: allowed }: Manifest) => allowed)
  for (const port of [nats, 5432, 53]) assert.ok(outside.some((allowed: { port: number }) => allowed.port === port))
})

test('probes and the monitor ask for what the server answers', async (t) => {
  const server = await startTestServer(t)
  const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe]
  const asked = probes.map(({ httpGet }) => httpGet as { path: string; port: string })
  for (const { path, port } of [...asked, ...find('ServiceMonitor').spec.endpoints]) {
    assert.ok(ports.has(port), port)
    assert.equal((await fetch(`${server.addresses.http}${path}`)).status, 200, path)
  }
  assert.deepEqual(
    asked.map(({ path }) => path),
    ['/health/live', '/health/ready', '/health/live']
  )
})

test('a pod has time to stop: until it is out of the Service, then what the relay may take', () => {
  const { SHUTDOWN_GRACE_SECONDS } = readConfig({ ...settings, CLUSTER_NAME: undefined, NATS_URL: undefined }).config!
  const [program, seconds] = container.lifecycle.preStop.exec.command
  assert.equal(program, 'sleep')
  const { periodSeconds, failureThreshold } = container.readinessProbe
  assert.ok(Number(seconds) >= periodSeconds * failureThreshold)
  assert.ok(pod.terminationGracePeriodSeconds > Number(seconds) + SHUTDOWN_GRACE_SECONDS + 5)
})

test('every pod is confined: not root, nothing to write to but its volumes, no capability, limited', () => {
  for (const { spec } of manifests.filter(({ kind }) => kind === 'Deployment')) {
    const { securityContext, containers, automountServiceAccountToken } = spec.template.spec
    assert.equal(automountServiceAccountToken, false)
    assert.equal(securityContext.runAsNonRoot, true)
    assert.ok(securityContext.runAsUser > 0)
    assert.equal(securityContext.seccompProfile.type, 'RuntimeDefault')
    for (const each of containers) {
      assert.deepEqual(each.securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] }
      })
      assert.ok(each.resources.requests.memory && each.resources.requests.cpu && each.resources.limits.memory)
    }
  }
  assert.match(readFileSync(packageFile('Dockerfile'), 'utf8'), /^USER node$/m)
  const mounted = new Set(container.volumeMounts.map(({ name }: { name: string }) => name))
  assert.deepEqual(
    [...mounted],
    pod.volumes.map(({ name }: { name: string }) => name)
  )
})
