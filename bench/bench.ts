import { Child } from './child.ts'
import { type Contender, startBare, startServer } from './contender.ts'
import type { BenchPostgres } from './database.ts'
import type { Verification } from './load/verification.ts'
import type { Options } from './options.ts'
import type { Moment } from './parent.ts'
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
  /** Share of a processor that the load generator used: near 1, it limits the figures. */
  readonly loadBusy: number
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
  #runs = 0

  constructor(options: Options, postgres: BenchPostgres, home: string, main: string) {
    this.options = options
    this.postgres = postgres
    this.#home = home
    this.#main = main
  }

  /** Progress, for whoever waits. */
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
    const settings = { main: this.#main, home: this.#home, postgres: this.postgres }
    const contender =
      name === 'bare' ? await startBare() : await startServer({ ...settings, nodeOptions: this.options.nodeOptions })
    this.#contenders.add(contender)
    return contender
  }

  async retire(contender: Contender): Promise<void> {
    this.#contenders.delete(contender)
    await contender.stop()
  }

  /** What a request to the load generator says about where and how; names in it are used once. */
  target(contender: Contender, protocol: Protocol) {
    return { url: contender.url(protocol.name), protocol: protocol.name, prefix: `run${++this.#runs}` }
  }

  /** Has the load generator do something, and looks at the clocks of all others while it measures. */
  async measure<T>(contender: Contender, worker: Child, command: string, request: object, ms: number) {
    const looks: (Moment & { serverMs: number | undefined; databaseMs: number | undefined })[] = []
    worker.onMoment = (moment) => {
      looks.push({ ...moment, serverMs: contender.cpuMs(), databaseMs: contender.databaseCpuMs() })
    }
    const report = await worker.call<T>(command, request, ms)
    const [begin, end] = looks
    if (begin === undefined || end === undefined) throw new Error(`"${command}" measured nothing`)
    const cost: Cost = {
      serverMs: difference(begin.serverMs, end.serverMs),
      databaseMs: difference(begin.databaseMs, end.databaseMs),
      loadBusy: (end.cpuMs - begin.cpuMs) / (end.at - begin.at)
    }
    return { report, cost }
  }

  async stop(): Promise<void> {
    await this.#worker?.stop()
    for (const contender of this.#contenders) await contender.stop()
  }
}

const difference = (before: number | undefined, after: number | undefined) =>
  before === undefined || after === undefined ? undefined : after - before
