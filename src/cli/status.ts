import type { Command } from '@commander-js/extra-typings'
import type { Static } from '@sinclair/typebox'
import type { StatsAnswer } from '../../plugins/admin/stats.ts'
import type { ReadyAnswer, UnavailableAnswer } from '../../plugins/health.ts'
import {
  ABOUT_SERVER,
  ask,
  CA_CERT,
  INSECURE,
  JSON_OUTPUT,
  openAdminClient,
  SERVER_URL,
  type ServerOptions,
  serverUrl,
  type TlsTrust,
  tlsTrust
} from './admin-client.ts'
import { CommandError, EXIT, endHelp, type Io, usual } from './command.ts'
import { ago, counted, number, type Paint, painter, plain, size, span } from './format.ts'
import { printJson } from './output.ts'

type Health = Static<typeof ReadyAnswer> | Static<typeof UnavailableAnswer>
type Stats = Static<typeof StatsAnswer>

export function addStatus(program: Command, io: Io): void {
  const status = program
    .command('status')
    .description('print whether the server is ready, and its statistics')
    .addOption(SERVER_URL)
    .addOption(CA_CERT)
    .addOption(INSECURE)
    .addOption(JSON_OUTPUT)
    .action((options) => printStatus(options, io))
  endHelp(status, [ABOUT_SERVER, 'Readiness needs no token, the statistics do.'], {
    [EXIT.ok]: 'ready',
    [EXIT.failed]: 'not ready, or no server answers',
    ...usual(EXIT.settings)
  })
}

async function printStatus(options: ServerOptions, io: Io): Promise<void> {
  const { config } = await io.settings()
  const url = serverUrl(options, config)
  const health = await healthOf(url, await tlsTrust(options, config))
  const answer = await statsOf(options, io)
  const ready = health.status === 'ok'
  if (options.json) printJson({ url, ready, health, ...answer }, io)
  else io.stdout.write(printed(url, health, answer, painter(io.colours)))
  if (!ready) throw new CommandError(EXIT.failed)
}

async function healthOf(url: string, trust: TlsTrust): Promise<Health> {
  try {
    const { body } = await ask(`${url}/health/ready`, trust)
    const { status: said } = body as Partial<Health>
    if (said === 'ok' || said === 'unavailable') return body as Health
  } catch (error) {
    throw new CommandError(EXIT.failed, (error as Error).message)
  }
  throw new CommandError(EXIT.failed, `what answers at ${url} is no demos-relay. --url must be the server itself`)
}

/** The statistics, or why there are none: a server that is not ready may still answer. */
async function statsOf(options: ServerOptions, io: Io): Promise<{ stats: Stats | null; reason?: string }> {
  try {
    return { stats: await (await openAdminClient(options, io)).get<Stats>(['stats']) }
  } catch (error) {
    if (error instanceof CommandError) return { stats: null, reason: error.message }
    throw error
  }
}

function printed(
  url: string,
  health: Health,
  { stats, reason }: { stats: Stats | null; reason?: string },
  paint: Paint
): string {
  const isReady = health.status === 'ok'
  const word = isReady ? paint('green', 'is ready') : paint('red', 'is not ready')
  const name = paint('bold', 'demos-relay')
  const failing = health.status === 'ok' ? [] : (health.failing ?? [])
  const rows = [
    ...failing.map(({ part, reason }) => [part, paint('red', plain(reason))]),
    ...Object.entries(health.doors ?? {}).map(([listener, address]) => [listener, plain(address)]),
    ...(stats === null ? [] : statsRows(stats))
  ]
  const width = Math.max(...rows.map(([label]) => label!.length))
  const lines = rows.map(([label, value]) => `  ${paint('dim', label!.padEnd(width))}  ${value}`)
  const lack = reason === undefined ? [] : [`  No statistics: ${reason}.`]
  return `${[`${name} ${stats?.version ?? ''} at ${url} ${word}`.replace('  ', ' '), ...lines, ...lack].join('\n')}\n`
}

function statsRows(stats: Stats): [string, string][] {
  const { protocols, networks, eventLoop, memory, database, audit } = stats
  const records = audit.logs.reduce((sum, log) => sum + log.size, 0)
  const halted = audit.haltedLogs === 0 ? '' : `; ${audit.haltedLogs} HALTED, see docs/audit.md`
  return [
    ['up', span(stats.uptimeSeconds)],
    ...(['signaling', 'l2ps'] as const).flatMap((protocol): [string, string][] => {
      const { peers, sessions, acceptedTotal, queue } = protocols[protocol]
      const oldest = queue.oldestAgeSeconds === null ? '' : `, the oldest ${ago(queue.oldestAgeSeconds)}`
      return [
        [
          `${protocol} peers`,
          `${number(peers)} in ${counted(sessions, 'session')}; ${counted(acceptedTotal, 'message')} accepted since the start`
        ],
        [`${protocol} queue`, `${counted(queue.entries, 'message')}, ${size(queue.bytes)}${oldest}`]
      ]
    }),
    ['networks', `${number(networks.count)}, ${number(networks.enabled)} enabled`],
    [
      'database',
      `${database.embedded ? 'embedded' : 'DATABASE_URL'}, ${database.ok ? 'answers' : 'DOES NOT ANSWER'}; ${counted(database.waitingMessages, 'message')} waiting for a commit`
    ],
    ['audit', `${counted(records, 'record')} in ${counted(audit.logs.length, 'log')}${halted}`],
    ['event loop', `${Math.round(eventLoop.utilization * 100)} % busy, lag ${eventLoop.lagP99Ms.toFixed(1)} ms (p99)`],
    ['memory', size(memory.rssBytes)]
  ]
}
