import { adminTokenFile } from '../../plugins/admin/token.ts'
import { signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import { painter } from './format.ts'

/** What a started server prints about itself; nothing in it is secret. */
export interface ServerFacts {
  version: string
  signaling: string
  /** Undefined: L2PS messaging is turned off. */
  l2ps: string | undefined
  /** The administration: its page, and the API the page uses. */
  console: string
  admin: string
  /** The file that holds its token; undefined: the configuration gave it. */
  adminTokenFile?: string
  health: string
  metrics: string
  database: string
  dataDirectory: string
  /** The port that was asked for, when another one had to be taken. */
  takenPort?: number
}

/** Collects the facts from the configuration and the addresses the listeners got. */
export function serverFacts(
  config: Config,
  addresses: { signaling: string; l2ps: string | undefined; http: string },
  version: string
): ServerFacts {
  const asked = signalingPort(config)
  const { port } = new URL(addresses.signaling) // empty when it is the scheme's own
  const moved = asked !== 0 && port !== '' && Number(port) !== asked
  return {
    version,
    signaling: reachable(addresses.signaling),
    l2ps: addresses.l2ps === undefined ? undefined : reachable(addresses.l2ps),
    console: new URL('/console/', reachable(addresses.http)).href,
    admin: new URL('/admin', reachable(addresses.http)).href,
    ...(config.ADMIN_TOKEN === undefined ? { adminTokenFile: adminTokenFile(config.DATA_DIR) } : {}),
    health: new URL('/health/ready', reachable(addresses.http)).href,
    metrics: new URL('/metrics', reachable(addresses.http)).href,
    database: databasePlace(config.DATABASE_URL),
    dataDirectory: config.DATA_DIR,
    ...(moved ? { takenPort: asked } : {})
  }
}

/** The address of the database, without user and password. */
function databasePlace(url: string | undefined): string {
  if (url === undefined) return 'embedded PostgreSQL'
  if (!URL.canParse(url)) return 'PostgreSQL of DATABASE_URL'
  const { host, pathname } = new URL(url)
  return `PostgreSQL at ${host || 'this machine'}${pathname}`
}

/** The address for a client on this machine: "any address" is reached over the loopback address. */
function reachable(address: string): string {
  return address.replace('//0.0.0.0', '//127.0.0.1').replace('//[::]', '//[::1]').replace(/\/$/, '')
}

export interface BannerStyle {
  colours: boolean
  /** Columns a line may take. */
  width?: number
}

/** The banner a person sees on a terminal: where everything is, and what to do next. */
export function banner(facts: ServerFacts, { colours, width = 80 }: BannerStyle): string {
  const paint = painter(colours)
  const row = (label: string, value: string) => {
    const shown = shortened(value, width - 15)
    return `  ${paint('dim', label.padEnd(12))} ${/^\w+:\/\//.test(shown) ? paint('cyan', shown) : shown}`
  }
  const rows = [
    row('signaling', facts.signaling),
    ...(facts.takenPort === undefined ? [] : [row('', `port ${facts.takenPort} was taken`)]),
    ...(facts.l2ps === undefined ? [] : [row('l2ps', facts.l2ps)]),
    row('console', facts.console),
    row('admin', facts.admin),
    row('', `token in ${facts.adminTokenFile ?? 'ADMIN_TOKEN'}`),
    row('health', facts.health),
    row('metrics', facts.metrics),
    row('database', facts.database),
    row('data', facts.dataDirectory)
  ]
  const next = [row('try it', 'npm run demo'), row('stop', 'Ctrl-C')]
  const title = `  ${paint('bold', 'demos-relay')} ${facts.version} ${paint('dim', 'is ready')}`
  return `\n${[title, '', ...rows, '', ...next].join('\n')}\n\n`
}

/** Leaves out the middle of a text that is too long: beginning and end of a path tell the most. */
function shortened(text: string, width: number): string {
  if (text.length <= width) return text
  const head = Math.floor((width - 1) / 2)
  return `${text.slice(0, head)}…${text.slice(text.length - (width - 1 - head))}`
}
