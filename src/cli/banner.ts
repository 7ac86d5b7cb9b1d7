import { adminTokenFile } from '../../plugins/admin/api/token.ts'
import { signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'

/** What a started server says about itself; nothing in it is secret. */
export interface ServerFacts {
  version: string
  signaling: string
  /** Undefined: L2PS messaging is turned off. */
  l2ps: string | undefined
  /** Where the server is administered: the page, and the API it uses. */
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

/** Collects the facts from the configuration and from where the doors really opened. */
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

/** Where the database is, never who logs in there or how. */
function databasePlace(url: string | undefined): string {
  if (url === undefined) return 'embedded PostgreSQL'
  if (!URL.canParse(url)) return 'PostgreSQL of DATABASE_URL'
  const { host, pathname } = new URL(url)
  return `PostgreSQL at ${host || 'this machine'}${pathname}`
}

/** "Any address" is nothing a client can connect to; on this machine the loopback address is. */
function reachable(address: string): string {
  return address.replace('//0.0.0.0', '//127.0.0.1').replace('//[::]', '//[::1]').replace(/\/$/, '')
}

const STYLES = { bold: '\x1b[1m', dim: '\x1b[2m', cyan: '\x1b[36m' }
const PLAIN = '\x1b[0m'

export interface BannerStyle {
  colours: boolean
  /** Columns a line may take. */
  width?: number
}

/** The banner a person sees on a terminal: where everything is, and what to do next. */
export function banner(facts: ServerFacts, { colours, width = 80 }: BannerStyle): string {
  const paint = (style: keyof typeof STYLES, text: string) => (colours ? `${STYLES[style]}${text}${PLAIN}` : text)
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

/** A text that fits, its middle left out when it does not: a path's beginning and end tell the most. */
function shortened(text: string, width: number): string {
  if (text.length <= width) return text
  const head = Math.floor((width - 1) / 2)
  return `${text.slice(0, head)}…${text.slice(text.length - (width - 1 - head))}`
}
