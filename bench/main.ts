// npm run bench: this server beside a bare relay, on this machine, with every message checked.
import { Bench, type Row } from './bench.ts'
import { buildServer, makeWorkplace } from './build.ts'
import { stopAllChildren } from './child.ts'
import { startPostgres } from './database.ts'
import { HELP, type Options, readOptions } from './options.ts'
import { protocolNamed } from './protocols/index.ts'
import { makeReport, printed, type Report } from './report.ts'
import { SCENARIOS } from './scenarios/index.ts'

/** Undone at the end, last first, also on Ctrl-C. */
const undo: (() => Promise<unknown>)[] = []
let ending: Promise<void> | undefined

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => void end().finally(() => process.exit(130)))
}

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
  for (const name of options.protocols) {
    const protocol = protocolNamed(name)
    for (const wanted of options.only) {
      const scenario = SCENARIOS[wanted]
      if (scenario.protocols.includes(name)) rows.push(...(await scenario.run(bench, protocol)))
    }
  }
  return makeReport(rows, options, postgres)
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
