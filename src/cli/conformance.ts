import type { Command } from '@commander-js/extra-typings'
import type { Result } from '../conformance/run.ts'
import { CommandError, EXIT, endHelp, type Io, UsageError, usual, wholeNumber } from './command.ts'
import { counted, type Paint, painter, plain, type Style } from './format.ts'
import { printJson, statusLine } from './output.ts'

interface Options {
  readonly url?: string | undefined
  readonly l2ps?: string | undefined
  readonly network: string
  readonly otherNetwork?: string | undefined
  readonly wait: number
  readonly json?: true | undefined
  readonly junit?: string | undefined
}

export function addConformance(program: Command, io: Io): void {
  const conformance = program
    .command('conformance')
    .description('check a server of these protocols, rule by rule')
    .option('--url <url>', 'the signaling server, like ws://127.0.0.1:3005')
    .option('--l2ps <url>', 'the L2PS messaging server, like ws://127.0.0.1:3006')
    .option('--network <uid>', 'an L2PS network that is open to every key', 'demo')
    .option('--other-network <uid>', 'a second one, for the rule that nothing crosses')
    .option('--wait <ms>', 'longest wait for one frame', wholeNumber, 5_000)
    .option('--json', 'print JSON, with the frames')
    .option('--junit <file>', 'also write a JUnit report to this file')
    .action((options) => check(options, io))
  endHelp(
    conformance,
    [
      'Plays the rules of docs/protocol.md, each named by its section, as peers with keys that are made for the run. It leaves ids, keys and a few sealed messages behind, so use it on a test server. Limits are those of the default settings.',
      'A rule holds, or fails with the frames that show it, or the server does not support what it is about. Sections that other implementations may decide differently are listed in section 11.'
    ],
    { [EXIT.failed]: 'a rule fails', ...usual(EXIT.unreachable) }
  )
}

async function check(options: Options, io: Io): Promise<void> {
  const [{ checkProtocol }, { countsOf, junit }, { Unreachable }] = await Promise.all([
    import('../conformance/run.ts'),
    import('../conformance/reports.ts'),
    import('../conformance/connection.ts')
  ])
  const { network, otherNetwork, wait: waitMs } = options
  const paint = painter(io.colours)
  const status = statusLine(io.stderr)
  const results: Result[] = []
  try {
    for (const [protocol, url] of serversIn(options)) {
      if (!options.json) io.stdout.write(`${results.length > 0 ? '\n' : ''}${paint('bold', `${protocol}  ${url}`)}\n`)
      const show = (result: Result) => {
        results.push(result)
        status.clear()
        if (!options.json) io.stdout.write(lines(result, paint))
        status.show(`${results.length} rules checked`)
      }
      await checkProtocol(protocol, { url, network, otherNetwork, waitMs }, show)
    }
  } catch (cause) {
    if (!(cause instanceof Unreachable)) throw cause
    throw new CommandError(EXIT.unreachable, `no server answers at ${cause.message}`, { cause })
  } finally {
    status.clear()
  }
  const counts = countsOf(results)
  if (options.json) printJson({ counts, rules: results }, io)
  else {
    const { holds, fails, 'not supported': lacks } = counts
    io.stdout.write(`\n${counted(results.length, 'rule')}: ${holds} hold, ${fails} fail, ${lacks} not supported\n`)
  }
  if (options.junit !== undefined) {
    const { writeFile } = await import('node:fs/promises')
    await writeFile(options.junit, junit(results))
  }
  if (counts.fails > 0) throw new CommandError(EXIT.failed)
}

function serversIn({ url, l2ps }: Options): ['signaling' | 'l2ps', string][] {
  const servers: ['signaling' | 'l2ps', string][] = []
  if (url !== undefined) servers.push(['signaling', socketUrl('--url', url)])
  if (l2ps !== undefined) servers.push(['l2ps', socketUrl('--l2ps', l2ps)])
  if (servers.length === 0) throw new UsageError('which server? --url URL, --l2ps URL, or both')
  return servers
}

function socketUrl(option: string, text: string): string {
  if (URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol)) return text
  throw new UsageError(`${option} must be the address of a server, like ws://127.0.0.1:3005`)
}

const STYLES: Readonly<Record<Result['verdict'], Style>> = { holds: 'green', fails: 'red', 'not supported': 'yellow' }
const WIDTH = 'not supported'.length

/** The line of a rule; below it, for one that fails, the reason and the frames. */
function lines({ section, title, verdict, reason, frames = [] }: Result, paint: Paint): string {
  const line = `${paint(STYLES[verdict], verdict.padEnd(WIDTH))}  ${section.padEnd(4)}  ${title}\n`
  const indent = ' '.repeat(WIDTH + 8)
  const why = reason === undefined ? '' : `${indent}${plain(reason)}\n`
  const said = frames.map(
    ({ peer, direction, text }) => `${indent}${paint('dim', `${peer} ${direction}:`)} ${plain(text)}\n`
  )
  return line + why + said.join('')
}
