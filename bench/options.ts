import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { ProtocolName } from './protocols/protocol.ts'
import { SCENARIO_NAMES, type ScenarioName } from './scenarios/names.ts'

/** How relays of a cluster tell each other. */
export type BusName = 'postgres' | 'nats'

export interface Options {
  readonly json: boolean
  readonly quick: boolean
  readonly repeat: number
  /** Scenarios asked for by name; undefined: all. */
  readonly only: readonly ScenarioName[] | undefined
  readonly protocols: readonly ProtocolName[]
  readonly bodyBytes: number
  /** Numbers of pairs the relay scenario is run with. */
  readonly pairs: readonly number[]
  /** Numbers of relays the cluster scenario is run with. */
  readonly relays: readonly number[]
  /** Buses of the cluster scenario; undefined: those that are installed. */
  readonly buses: readonly BusName[] | undefined
  /** Longest a run waits for other work on this machine to end, in ms. */
  readonly patienceMs: number
  /** A built server (`main.js`) to measure instead of this checkout. */
  readonly server: string | undefined
  /** A built server to compare with, or `STORING`, in place of the bare relay. */
  readonly beside: string | undefined
  /** Options of node for the server under test. */
  readonly nodeOptions: readonly string[]
  /** Where the databases go; undefined: the system's directory for temporary files. */
  readonly dataDir: string | undefined
}

/** Compare with the least relay that stores what it relays. */
export const STORING = 'storing'

export const HELP = `npm run bench -- [options]

Measures this server beside a bare WebSocket relay on this machine, and checks every message it counts.

  --only NAMES       scenarios, separated by commas: ${SCENARIO_NAMES.join(', ')}
  --protocol NAME    signaling, l2ps or both (both: storm, idle, crowd, population and cluster in one of them)
  --quick            seconds instead of minutes: shows that it works, not how fast it is
  --repeat N         runs of each kind (2; 1 with --quick); medians are reported
  --body N           bytes of a sealed message (1024)
  --pairs N,N        pairs of the relay scenario (1,50)
  --relays N,N       numbers of relays of the cluster scenario (1,2); alone, it runs no other scenario
  --bus NAMES        its buses: postgres, nats or both (those that are installed)
  --patience S       before each run, wait up to S seconds for the machine to have nothing else to do (0)
  --json             prints one line of JSON and nothing else on stdout
  --server FILE      measures another build: its main.js
  --beside FILE      compares with another build instead of the bare relay; "${STORING}": with the least relay that
                     stores what it relays (relay, paced, offline, storm and idle)
  --node-options=O   options of node for the server under test, separated by spaces (--cpu-prof)
  --data-dir DIR     where the databases are made and removed; should not be a RAM disk
  --help             this text

Exit code 0: all messages arrived, once, in order and unaltered. 1: not so, or something failed. 2: wrong arguments.
`

/** The options, or why there are none: `help` was asked for, or an argument is wrong. */
export function readOptions(args: readonly string[]): Options | 'help' | { mistake: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        protocol: { type: 'string', default: 'both' },
        quick: { type: 'boolean', default: false },
        repeat: { type: 'string' },
        body: { type: 'string', default: '1024' },
        pairs: { type: 'string', default: '1,50' },
        relays: { type: 'string' },
        bus: { type: 'string' },
        patience: { type: 'string', default: '0' },
        json: { type: 'boolean', default: false },
        server: { type: 'string' },
        beside: { type: 'string' },
        'node-options': { type: 'string', default: '' },
        'data-dir': { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
    if (values.help) return 'help'
    return {
      json: values.json,
      quick: values.quick,
      repeat: count('--repeat', values.repeat ?? (values.quick ? '1' : '2')),
      only: scenarios(values.only ?? (values.relays === undefined ? undefined : 'cluster')),
      protocols: protocols(values.protocol),
      bodyBytes: count('--body', values.body),
      pairs: values.pairs.split(',').map((text) => count('--pairs', text)),
      relays: (values.relays ?? '1,2').split(',').map((text) => count('--relays', text)),
      buses: values.bus?.split(',').map(bus),
      patienceMs: values.patience === '0' ? 0 : 1_000 * count('--patience', values.patience),
      server: build('--server', values.server),
      beside: values.beside === STORING ? STORING : build('--beside', values.beside),
      nodeOptions: values['node-options'].split(' ').filter((option) => option !== ''),
      dataDir: values['data-dir']
    }
  } catch (error) {
    return { mistake: (error as Error).message }
  }
}

function scenarios(text: string | undefined): ScenarioName[] | undefined {
  if (text === undefined) return undefined
  const names = text.split(',').map((name) => name.trim())
  for (const name of names) {
    if (!SCENARIO_NAMES.some((known) => known === name)) throw new Error(`--only: there is no scenario "${name}"`)
  }
  return SCENARIO_NAMES.filter((name) => names.includes(name))
}

function protocols(text: string): ProtocolName[] {
  if (text === 'both') return ['signaling', 'l2ps']
  if (text === 'signaling' || text === 'l2ps') return [text]
  throw new Error(`--protocol must be signaling, l2ps or both, not "${text}"`)
}

function bus(text: string): BusName {
  if (text === 'postgres' || text === 'nats') return text
  throw new Error(`--bus must be postgres, nats or both with a comma, not "${text}"`)
}

/** Whole, as the server is started in a directory of its own. */
function build(option: string, file: string | undefined): string | undefined {
  if (file !== undefined && !existsSync(file)) throw new Error(`${option}: there is no file ${file}`)
  return file && resolve(file)
}

function count(option: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`${option} must be a positive number, not "${text}"`)
  return Number(text)
}
