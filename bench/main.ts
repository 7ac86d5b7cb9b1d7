// npm run bench: this server beside a bare relay, on this machine, with every message checked.

import { onStop } from '../scripts/on-stop.ts'
import { Bench, type Row } from './bench.ts'
import { buildServer, makeWorkplace } from './build.ts'
import { stopAllChildren } from './child.ts'
import { startPostgres } from './database.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { protocolNamed } from './protocols/index.ts'
import type { ProtocolName } from './protocols/protocol.ts'
import { type Failure, makeReport, printed, type Report } from './report.ts'
import { SCENARIOS } from './scenarios/index.ts'
import { SCENARIO_NAMES, type ScenarioName } from './scenarios/names.ts'

/** Undone at the end, last first, also on Ctrl-C. */
const undo: (() => Promise<unknown>)[] = []
let ending: Promise<void> | undefined

onStop(end)

const options = readOptions(process.argv.slice(2))
if (options === 'help') process.stdout.write(HELP)
else if ('mistake' in options) {
  process.stderr.write(`${options.mistake}\n\n${HELP}`)
  process.exitCode = 2
} else await main(options)

async function main(options: Options): Promise<void> {
  try {
    const report = await runAll(options)
    if (!options.json) process.stdout.write(`${printed(report)}\n`)
    process.stdout.write(`${JSON.stringify(report)}\n`)
    process.exitCode = report.ok ? 0 : 1
  } catch (error) {
    if (ending === undefined) process.stderr.write(`bench: ${(error as Error).stack}\n`)
    process.exitCode = 1
  } finally {
    await end()
  }
}

async function runAll(options: Options): Promise<Report> {
  const workplace = await makeWorkplace()
  undo.push(() => workplace.remove())
  const main = options.server ?? (await buildServer(workplace))
  const postgres = await startPostgres(options.dataDir)
  undo.push(() => postgres.stop())
  const bench = new Bench(options, postgres, workplace.directory, main)
  undo.push(() => bench.stop())
  const rows: Row[] = []
  const failures: Failure[] = []
  for (const { protocol, scenario } of plan(options)) {
    const began = performance.now()
    try {
      rows.push(...(await SCENARIOS[scenario].run(bench, protocolNamed(protocol))))
    } catch (error) {
      if (ending !== undefined) throw error
      bench.say(`${scenario}, ${protocol}: ${(error as Error).message}`)
      failures.push({ scenario, protocol, reason: (error as Error).message })
      await bench.stop() // their state is unknown
    }
    bench.say(`${scenario}, ${protocol}: ${Math.round((performance.now() - began) / 1_000)} s`)
  }
  return makeReport(rows, failures, options, postgres)
}

/** What is run: each scenario with the protocols that were asked for, some with one of them unless they were asked for by name. */
function plan({ protocols, only }: Options): { protocol: ProtocolName; scenario: ScenarioName }[] {
  const names = only ?? SCENARIO_NAMES
  return protocols.flatMap((protocol) =>
    names
      .filter((name) => SCENARIOS[name].protocols.includes(protocol))
      .filter((name) => only !== undefined || protocols.length === 1 || (SCENARIOS[name].once ?? protocol) === protocol)
      .map((scenario) => ({ protocol, scenario }))
  )
}

/** Stops everything that was started, and removes what was made. */
function end(): Promise<void> {
  ending ??= (async () => {
    for (const step of undo.splice(0).reverse()) {
      await step().catch((error: unknown) => process.stderr.write(`bench: ${(error as Error).message}\n`))
    }
    await stopAllChildren()
  })()
  return ending
}
