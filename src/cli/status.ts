import type { Static } from '@sinclair/typebox'
import type { StatsAnswer } from '../../plugins/admin/api/stats.ts'
import type { ReadyAnswer, UnavailableAnswer } from '../../plugins/health.ts'
import { ABOUT_SERVER, ask, openAdminClient, SERVER_OPTIONS, serverUrl } from './admin-client.ts'
import { type Call, type Command, CommandError, EXIT, type ExitCode, type Io, usual } from './command.ts'
import { printJson } from './output.ts'
import { ago, counted, number, type Paint, painter, plain, size, span } from './words.ts'

type Health = Static<typeof ReadyAnswer> | Static<typeof UnavailableAnswer>
type Stats = Static<typeof StatsAnswer>

export const status: Command = {
  name: 'status',
  summary: 'is the server ready, and how is it doing',
  about: [ABOUT_SERVER, 'Readiness is told without a token, figures only with it.'],
  options: SERVER_OPTIONS,
  exits: { 0: 'ready', 1: 'not ready, or nobody there', ...usual(EXIT.settings) },
  actions: [{ name: '', about: 'Tell how the server is.', run: showStatus }]
}

async function showStatus(call: Call, io: Io): Promise<ExitCode> {
  const { config } = await io.settings()
  const url = serverUrl(call, config)
  const health = await healthOf(url)
  const figures = await statsOf(call, io)
  const exit = health.status === 'ok' ? EXIT.ok : EXIT.failed
  if (call.flag('json')) printJson({ url, ready: health.status === 'ok', health, ...figures }, io)
  else io.stdout.write(printed(url, health, figures, painter(io.colours)))
  return exit
}

async function healthOf(url: string): Promise<Health> {
  try {
    const { body } = await ask(`${url}/health/ready`)
    const { status: said } = body as Partial<Health>
    if (said === 'ok' || said === 'unavailable') return body as Health
  } catch (error) {
    throw new CommandError(EXIT.failed, (error as Error).message)
  }
  throw new CommandError(EXIT.failed, `what answers at ${url} is no demos-relay. Give --url the server itself`)
}

/** The figures, or why there are none: a server that is not well is asked all the same. */
async function statsOf(call: Call, io: Io): Promise<{ stats: Stats | null; reason?: string }> {
  try {
    return { stats: await (await openAdminClient(call, io)).get<Stats>(['stats']) }
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
  const failing = health.status === 'ok' ? [] : health.failing
  const rows = [
    ...failing.map(({ part, reason }) => [part, paint('red', plain(reason))]),
    ...Object.entries(health.doors).map(([door, address]) => [door, plain(address)]),
    ...(stats === null ? [] : figureRows(stats))
  ]
  const width = Math.max(...rows.map(([label]) => label!.length))
  const lines = rows.map(([label, value]) => `  ${paint('dim', label!.padEnd(width))}  ${value}`)
  const lack = reason === undefined ? [] : [`  No figures: ${reason}.`]
  return `${[`${name} ${stats?.version ?? ''} at ${url} ${word}`.replace('  ', ' '), ...lines, ...lack].join('\n')}\n`
}

function figureRows(stats: Stats): [string, string][] {
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
