import { setTimeout as delay } from 'node:timers/promises'
import { Child } from './child.ts'
import { type ClusterContender, startCluster } from './cluster.ts'
import { type Contender, startBare, startServer } from './contender.ts'
import type { BenchPostgres } from './database.ts'
import type { Verification } from './load/verification.ts'
import { type BenchNats, startNats } from './nats.ts'
import { type BusName, type Options, STORING } from './options.ts'
import type { Moment } from './parent.ts'
import { cpuMsOfMachine, quietMachine } from './processes.ts'
import type { Protocol, ProtocolName } from './protocols/protocol.ts'
import type { Summary } from './statistics.ts'

/** One line of the report. */
export interface Row {
  readonly scenario: string
  readonly protocol: ProtocolName
  /** What was done: "50 pairs". */
  readonly title: string
  readonly unit: string
  readonly better: 'more' | 'less'
  readonly server: Summary
  /** The same without this server. */
  readonly other?: Summary & { readonly what: string }
  /** Median of the server over median of the other. */
  readonly ratio?: number
  /** What else was seen, medians: names carry the unit. */
  readonly facts: Readonly<Record<string, number>>
  readonly verification?: Verification
}

/** What one measured stretch cost. */
export interface Cost {
  readonly serverMs: number | undefined
  readonly databaseMs: number | undefined
  /** CPU time by process, where the contender is made of several. */
  readonly processesMs?: Readonly<Record<string, number>>
  /** Share of a processor that the load generator used: near 1, it limits the results. */
  readonly loadBusy: number | undefined
  /** Processors that were busy with something else on this machine: much of it makes a run worthless. */
  readonly othersBusy: number | undefined
}

export const CONTENDERS = ['server', 'bare'] as const

/** What scenarios work with: who is compared, who makes the load, and how a stretch is measured. */
export class Bench {
  readonly options: Options
  readonly postgres: BenchPostgres
  readonly #home: string
  readonly #main: string
  readonly #shared = new Map<string, Promise<Contender>>()
  readonly #contenders = new Set<Contender>()
  #worker: Child | undefined
  #nats: Promise<BenchNats | undefined> | undefined
  #runs = 0

  constructor(options: Options, postgres: BenchPostgres, home: string, main: string) {
    this.options = options
    this.postgres = postgres
    this.#home = home
    this.#main = main
  }

  /** Progress, for the person who waits. */
  say(text: string): void {
    process.stderr.write(`${text}\n`)
  }

  /** The usual load generator. */
  get worker(): Child {
    this.#worker ??= this.newWorker()
    return this.#worker
  }

  newWorker(): Child {
    return Child.module('a load generator', './load-worker.ts')
  }

  /** One that stays for all scenarios: at rest while another is measured. */
  shared(name: Contender['name']): Promise<Contender> {
    const running = this.#shared.get(name) ?? this.fresh(name)
    this.#shared.set(name, running)
    return running
  }

  async fresh(name: Contender['name']): Promise<Contender> {
    const contender = await this.#start(name)
    this.#contenders.add(contender)
    return contender
  }

  /** So many relays over a database of their own. */
  async cluster(relays: number, bus: BusName): Promise<ClusterContender> {
    const nats = bus === 'nats' ? await this.nats() : undefined
    const { nodeOptions } = this.options
    const settings = { main: this.#main, home: this.#home, postgres: this.postgres, nodeOptions }
    const cluster = await startCluster(relays, nats, settings)
    this.#contenders.add(cluster)
    return cluster
  }

  /** The NATS server of this run; undefined: none is installed. */
  nats(): Promise<BenchNats | undefined> {
    this.#nats ??= startNats(this.options.dataDir)
    return this.#nats
  }

  /** What the server is compared with, in words. */
  get otherName(): string {
    const { beside } = this.options
    if (beside === undefined) return 'bare relay'
    return beside === STORING ? 'storing relay' : 'other build'
  }

  /** Does it keep what is for peers that are away? */
  get otherStores(): boolean {
    return this.options.beside !== undefined
  }

  #start(name: Contender['name']): Promise<Contender> {
    const { nodeOptions, beside } = this.options
    const settings = { home: this.#home, postgres: this.postgres, nodeOptions }
    if (name !== 'bare') return startServer(name, { ...settings, main: this.#main })
    if (beside === undefined) return startBare()
    return beside === STORING ? startBare(this.postgres) : startServer(name, { ...settings, main: beside })
  }

  async retire(contender: Contender): Promise<void> {
    this.#contenders.delete(contender)
    await contender.stop()
  }

  /** What a request to the load generator says about where and how; names in it are used once. */
  target(contender: Contender, protocol: Protocol) {
    return { url: contender.url(protocol.name), protocol: protocol.name, prefix: `run${++this.#runs}` }
  }

  /** Has the load generator do something, and reads the clocks of all other processes at its start and end. */
  async measure<T>(contender: Contender, worker: Child, command: string, request: object, ms: number) {
    for (const each of this.#contenders) await recorded(each)
    await quietMachine(this.options.patienceMs)
    const readings: Reading[] = []
    worker.onMoment = (moment) => {
      const serverMs = contender.cpuMs()
      const processes = contender.processes?.() ?? {}
      const databaseMs = contender.databaseCpuMs()
      readings.push({ ...moment, serverMs, databaseMs, processes, machineMs: cpuMsOfMachine() })
    }
    const report = await worker.call<T>(command, request, ms)
    const [begin, end] = readings
    if (begin === undefined || end === undefined) throw new Error(`"${command}" measured nothing`)
    const cost = costBetween(begin, end)
    return { report, cost }
  }

  /** Stops everything; what is asked for next is started anew. */
  async stop(): Promise<void> {
    await this.#worker?.stop()
    this.#worker = undefined
    this.#shared.clear()
    for (const contender of [...this.#contenders]) await this.retire(contender)
    const nats = await this.#nats?.catch(() => undefined)
    this.#nats = undefined
    await nats?.stop()
  }
}

const RECORDED_MS = 60_000

/** Waits until a contender has made the records of what it was sent before: that is no work of the next run. */
export async function recorded(contender: Contender): Promise<void> {
  const deadline = performance.now() + RECORDED_MS
  while ((await contender.unrecorded()) > 0) {
    if (performance.now() > deadline) throw new Error('the audit trail does not catch up')
    await delay(50)
  }
}

/** All clocks at one moment. */
interface Reading extends Moment {
  readonly serverMs: number | undefined
  readonly databaseMs: number | undefined
  readonly processes: Readonly<Record<string, number>>
  readonly machineMs: number | undefined
}

function costBetween(begin: Reading, end: Reading): Cost {
  const difference = (before: number | undefined, after: number | undefined) =>
    before === undefined || after === undefined ? undefined : after - before
  const wallMs = end.at - begin.at
  const loadMs = end.cpuMs - begin.cpuMs
  const serverMs = difference(begin.serverMs, end.serverMs)
  const databaseMs = difference(begin.databaseMs, end.databaseMs)
  const machineMs = difference(begin.machineMs, end.machineMs)
  const othersMs = machineMs === undefined ? undefined : machineMs - loadMs - (serverMs ?? 0) - (databaseMs ?? 0)
  const processesMs = Object.fromEntries(
    Object.entries(end.processes).map(([name, ms]) => [name, ms - (begin.processes[name] ?? ms)])
  )
  return {
    ...{ serverMs, databaseMs, processesMs, loadBusy: loadMs / wallMs },
    othersBusy: othersMs === undefined ? undefined : Math.max(0, othersMs / wallMs)
  }
}
