// Debian's HAProxy with deploy/haproxy-cluster.cfg, and the name server that it asks for the relays.
import { type ChildProcess, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { freePort } from '../../src/database/embedded/embedded-postgres.ts'
import { packageFile } from '../../src/util/package-root.ts'
import { startCluster, type TestCluster } from '../cluster/relays.ts'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { temporaryDirectory } from '../helpers/database.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { findProgram } from '../helpers/programs.ts'
import { type Settings, sharedByRelays, type TestServer } from '../helpers/server.ts'
import { until } from '../helpers/wait.ts'

/** Answers every question for an address with those that `addresses` has at that moment. */
async function startNameServer(scope: Scope, addresses: () => readonly string[]): Promise<number> {
  const socket = createSocket('udp4', (question, { address, port }) => {
    const answer = answerTo(question, addresses())
    if (answer !== undefined) socket.send(answer, port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  atEnd(scope, () => new Promise<void>((resolve) => socket.close(resolve)))
  return socket.address().port
}

const TYPE_A = 1

/** RFC 1035, 4.1: the question as it came, and an address record of one second for each address. */
function answerTo(question: Buffer, addresses: readonly string[]): Buffer | undefined {
  let end = 12
  while (end < question.length && question[end] !== 0) end += question[end]! + 1
  if (end + 5 > question.length) return undefined
  const asksForA = question.readUInt16BE(end + 1) === TYPE_A
  const records = asksForA ? addresses.map(recordOf) : []
  const header = Buffer.from(question.subarray(0, 12))
  header.writeUInt16BE(0x8180, 2) // a response, without an error
  header.writeUInt16BE(records.length, 6)
  header.fill(0, 8, 12)
  return Buffer.concat([header, question.subarray(12, end + 5), ...records])
}

/** Name: that of the question; type A, class IN, one second, four bytes. */
const recordOf = (address: string) =>
  Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 1, 0, 4, ...address.split('.').map(Number)])

export interface Balanced {
  readonly cluster: TestCluster
  /** HAProxy's listeners: ws://127.0.0.1:port. */
  readonly signaling: string
  readonly l2ps: string
  /** http://127.0.0.1:port */
  readonly admin: string
  /** Starts one more relay, at the next address; HAProxy finds it by name. */
  add(): Promise<TestServer>
  /** The same, in a process of its own, which can be killed. */
  spawn(): Promise<ChildProcess>
}

/** So many relays, each at an address of its own (127.0.0.1, 127.0.0.2 and so on), behind HAProxy. */
export async function startBalanced(t: TestContext, count: number, settings: Settings = {}): Promise<Balanced> {
  const [signaling, l2ps, admin, ...listeners] = await Promise.all(Array.from({ length: 6 }, freePort))
  const ports = { RPC_SIGNALING_PORT: signaling!, L2PS_MESSAGING_PORT: l2ps!, ADMIN_PORT: admin! }
  const common = { ...ports, TRUST_PROXY: 'loopback', ...settings }
  const cluster = await startCluster(t, 0, 'postgres', common)
  const addresses: string[] = []
  const add = async () => {
    const address = `127.0.0.${addresses.length + 1}`
    const relay = await cluster.add({ HOST: address, ADMIN_HOST: address })
    addresses.push(address)
    return relay
  }
  const spawnOne = async () => {
    const address = `127.0.0.${addresses.length + 1}`
    const shared = { CLUSTER_NAME: 'test', DATABASE_URL: cluster.databaseUrl, ...sharedByRelays(cluster.databaseUrl) }
    const child = await startRelayProcess(t, { HOST: address, ADMIN_HOST: address, ...common, ...shared })
    addresses.push(address)
    return child
  }
  for (let index = 0; index < count; index++) await add()
  await until('all relays know each other', () =>
    cluster.relays.every(({ app }) => app.cluster!.relays.length === count)
  )
  const [publicPort, l2psPort, adminPort] = listeners as [number, number, number]
  await startHaproxy(t, listeners, {
    RELAY_DNS: `127.0.0.1:${await startNameServer(t, () => addresses)}`,
    RELAY_SIGNALING: `relay:${signaling}`,
    RELAY_L2PS: `relay:${l2ps}`,
    RELAY_ADMIN: `relay:${admin}`,
    RELAY_BIND: `127.0.0.1:${publicPort}`,
    RELAY_L2PS_BIND: `127.0.0.1:${l2psPort}`,
    RELAY_ADMIN_BIND: `127.0.0.1:${adminPort}`
  })
  const url = (port: number) => `127.0.0.1:${port}`
  return {
    ...{ cluster, add, spawn: spawnOne },
    signaling: `ws://${url(publicPort)}`,
    l2ps: `ws://${url(l2psPort)}`,
    admin: `http://${url(adminPort)}`
  }
}

async function startRelayProcess(t: Scope, settings: Settings): Promise<ChildProcess> {
  const values = Object.entries(settings).map(([name, value]) => [name, String(value)])
  const env = {
    ...process.env,
    DATA_DIR: await temporaryDirectory(t),
    LOG_LEVEL: 'warn',
    ...Object.fromEntries(values)
  }
  const child = spawn(process.execPath, [...OWN_OPTIONS, ownFile('src/main.ts'), 'serve'], {
    env,
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const ended = once(child, 'exit')
  atEnd(t, () => child.kill('SIGKILL') && ended)
  await until('the relay is ready', () =>
    fetch(`http://${settings.HOST}:${settings.RPC_SIGNALING_PORT}/health/ready`).then(
      ({ status }) => status === 200,
      () => child.exitCode !== null && Promise.reject(new Error(`the relay ended with ${child.exitCode}`))
    )
  )
  return child
}

async function startHaproxy(t: Scope, ports: readonly number[], env: Readonly<Record<string, string>>): Promise<void> {
  const child = spawn(findProgram('haproxy')!, ['-db', '-f', packageFile('deploy/haproxy-cluster.cfg')], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'pipe']
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text))
  const ended = once(child, 'exit')
  atEnd(t, () => child.kill('SIGKILL') && ended)
  for (const port of ports) {
    await until('HAProxy has found a relay', () => {
      if (child.exitCode !== null) throw new Error(`HAProxy ended with ${child.exitCode}:\n${said}`)
      return isAnswered(port)
    })
  }
}

/** A relay behind this listener answers. */
const isAnswered = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/health/live`).then(
    ({ status }) => status === 200,
    () => false
  )
