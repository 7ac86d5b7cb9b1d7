// npm run chaos: breaks the server and everything around it for as long as asked, and checks what became of every message.
import { parseArgs } from 'node:util'
import { NEMESIS_NAMES, type NemesisName } from '../test/chaos/nemeses.ts'
import { COLUMNS, closingLine, complaint, summed, table } from '../test/chaos/report.ts'
import { type ChaosResult, runChaos } from '../test/chaos/run.ts'
import { missingForDisk, openStage } from '../test/chaos/stage.ts'
import type { Scope } from '../test/helpers/at-end.ts'
import { onStop } from './on-stop.ts'

const HELP = `npm run chaos -- [options]

Runs the real server on a real Postgres with peers of both protocols, breaks things, heals them, and compares what
senders were told with what recipients got.

  --minutes N        how long (5); every fault alone in turn, then all mixed, then again
  --seed S           chooses peers, messages and faults (printed; the moments are the machine's)
  --nemesis NAMES    faults, separated by commas: ${NEMESIS_NAMES.join(', ')}
  --json             prints one line of JSON and nothing else on stdout
  --help             this text

Exit code 0: nothing lost, doubled, overtaken or unexpected. 1: not so, or something failed. 2: wrong arguments.
`

/** How long faults go on in a run with one of them, and in one with all of them, in ms. */
const ALONE_MS = 8_000
const MIXED_MS = 30_000
/** How long a database stands still, in ms. */
const FREEZE_MS = 10_000
const DISK_MEGABYTES = 192

interface Options {
  readonly minutes: number
  readonly seed: number
  readonly nemeses: readonly NemesisName[]
  readonly json: boolean
}

const undo: (() => unknown)[] = []
const scope = { after: (step: () => unknown) => void undo.push(step) } as Scope
let ending: Promise<void> | undefined
onStop(end)

const options = readOptions(process.argv.slice(2))
if (options === 'help') process.stdout.write(HELP)
else if ('mistake' in options) {
  process.stderr.write(`${options.mistake}\n\n${HELP}`)
  process.exitCode = 2
} else await main(options)
process.exit()

function readOptions(args: readonly string[]): Options | 'help' | { mistake: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string', default: '5' },
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        nemesis: { type: 'string', default: NEMESIS_NAMES.join() },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
    if (values.help) return 'help'
    return {
      minutes: number('--minutes', values.minutes, /^\d{1,4}(\.\d{1,3})?$/),
      seed: number('--seed', values.seed, /^\d{1,10}$/),
      nemeses: values.nemesis.split(',').map(named),
      json: values.json
    }
  } catch (error) {
    return { mistake: (error as Error).message }
  }
}

function number(option: string, text: string, shape: RegExp): number {
  if (!shape.test(text)) throw new Error(`${option} must be a number, not "${text}"`)
  return Number(text)
}

function named(text: string): NemesisName {
  const name = NEMESIS_NAMES.find((known) => known === text.trim())
  if (name === undefined) throw new Error(`--nemesis: there is no fault "${text}"`)
  return name
}

async function main(options: Options): Promise<void> {
  try {
    const results = await runAll(options)
    const ok = results.every((result) => result.ok)
    const rows = summed(results)
    if (!options.json) process.stdout.write(`${table(rows)}\n`)
    const problems = results.filter((result) => !result.ok).map(complaint)
    const counts = rows.map((row) => Object.fromEntries(row.map((cell, column) => [COLUMNS[column], cell])))
    process.stdout.write(options.json ? `${JSON.stringify({ ok, seed: options.seed, rows: counts, problems })}\n` : '')
    process.exitCode = ok && results.length > 0 ? 0 : 1
  } catch (error) {
    if (ending === undefined) say(`${(error as Error).stack}`)
    process.exitCode = 1
  } finally {
    await end()
  }
}

async function runAll({ minutes, seed, nemeses }: Options): Promise<ChaosResult[]> {
  const missing = nemeses.includes('disk-full') ? await missingForDisk(scope) : undefined
  if (missing !== undefined) say(`disk-full is left out: ${missing}`)
  const possible = nemeses.filter((name) => missing === undefined || name !== 'disk-full')
  const needsDisk = possible.includes('disk-full')
  const stage = await openStage(scope, { steppedClock: true, ...(needsDisk ? { diskMegabytes: DISK_MEGABYTES } : {}) })
  say(`seed ${seed}`)
  const end = performance.now() + minutes * 60_000
  const turns = [...possible.map((name) => [name]), ...(possible.length > 1 ? [possible] : [])]
  const results: ChaosResult[] = []
  while (performance.now() < end || results.length === 0) {
    const place = results.length
    const chosen = turns[place % turns.length]!
    const result = await runChaos(stage, {
      seed: seed + place,
      nemeses: chosen,
      activeMs: Math.min(chosen.length > 1 ? MIXED_MS : ALONE_MS, end - performance.now()),
      freezeMs: FREEZE_MS,
      progress: ({ attempted, faults }) => progress(`${chosen.join(', ')}: ${faults} faults, ${attempted} messages`)
    })
    say(closingLine(result))
    if (!result.ok) say(`${complaint(result)}\nlog:\n${stage.server.tail.join('\n')}`)
    results.push(result)
  }
  return results
}

/** Stops everything that was started, last first. */
function end(): Promise<void> {
  ending ??= (async () => {
    for (const step of undo.splice(0).reverse()) {
      await Promise.resolve()
        .then(step)
        .catch((error: Error) => say(error.message))
    }
  })()
  return ending
}

function say(words: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${words}\n` : `${words}\n`)
}

/** Written over by what is said next. */
function progress(words: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${words.slice(0, (process.stderr.columns || 80) - 1)}`)
}
