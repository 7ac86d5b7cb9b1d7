// npm run siege: attackers beside three quiet pairs, and a table of what those notice.
import { parseArgs } from 'node:util'
import type { Scope } from '../test/helpers/at-end.ts'
import { SIEGE } from '../test/siege/attacks.ts'
import { openSiege, type SiegeRow, siegeTable } from '../test/siege/siege.ts'

const HELP = `npm run siege -- [options]

Runs the real server on a real Postgres under one attack after the other, beside three pairs that talk, newcomers that
register, an owner that comes back, and a scrape of its metrics. Times in ms; registration, owner and scrape: the longest.

  --minutes N       how long, all attacks together (15)
  --only NAMES      attacks, separated by commas: ${Object.keys(SIEGE).join(', ')}
  --without         without the budgets of sockets, addresses and identities
  --profile DIR     the server writes a CPU profile there
  --help            this text
`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '15' },
    only: { type: 'string' },
    without: { type: 'boolean', default: false },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false }
  }
})
const undo: (() => unknown)[] = []
const scope = { after: (step: () => unknown) => void undo.push(step) } as Scope

if (values.help) process.stdout.write(HELP)
else await main()
process.exit()

async function main(): Promise<void> {
  const names = values.only?.split(',') ?? Object.keys(SIEGE)
  const unknown = names.filter((name) => !(name in SIEGE))
  if (unknown.length > 0) throw new Error(`no such attack: ${unknown.join(', ')}`)
  const ms = (Number(values.minutes) * 60_000) / (names.length + 1)
  try {
    const siege = await openSiege(scope, { hasBudgets: !values.without, profileDirectory: values.profile })
    const rows: SiegeRow[] = []
    for (const attack of [undefined, ...names]) {
      rows.push(await siege.run(attack, ms))
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`)
    }
    for (const line of siege.tail) process.stderr.write(`${line.slice(0, 300)}\n`)
    process.stdout.write(`${siegeTable(rows)}\n`)
    for (const problem of siege.problems) process.stdout.write(`${problem}\n`)
    process.exitCode = siege.problems.length > 0 ? 1 : 0
  } finally {
    for (const step of undo.reverse()) await step()
  }
}
