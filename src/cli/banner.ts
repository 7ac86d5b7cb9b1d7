import { adminTokenFile } from '../../plugins/admin/token.ts'
import { hasPlayground, signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import type { Addresses } from '../server.ts'
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
  /** The page on which people try the relay; undefined: it is turned off. */
  playground?: string
  /** The file that holds its token; undefined: the configuration gave it. */
  adminTokenFile?: string
  health: string
  metrics: string
  database: string
  dataDirectory: string
  /** The ports that were asked for and taken, by listener. */
  takenPorts?: Readonly<Record<string, number>>
}

/** Collects the facts from the configuration and the addresses the listeners got. */
export function serverFacts(config: Config, addresses: Addresses, version: string): ServerFacts {
  const takenPorts = {
    ...movedFrom('signaling', addresses.signaling, signalingPort(config)),
    ...movedFrom('l2ps', addresses.l2ps, config.L2PS_MESSAGING_PORT),
    ...(config.ADMIN_PORT === undefined ? {} : movedFrom('console', addresses.admin, config.ADMIN_PORT))
  }
  return {
    version,
    signaling: reachable(addresses.signaling),
    l2ps: addresses.l2ps === undefined ? undefined : reachable(addresses.l2ps),
    console: new URL('/console/', reachable(addresses.admin)).href,
    admin: new URL('/admin', reachable(addresses.admin)).href,
    ...(hasPlayground(config) ? { playground: new URL('/playground/', reachable(addresses.http)).href } : {}),
    ...(config.ADMIN_TOKEN === undefined ? { adminTokenFile: adminTokenFile(config.DATA_DIR) } : {}),
    health: new URL('/health/ready', reachable(addresses.admin)).href,
    metrics: new URL('/metrics', reachable(addresses.admin)).href,
    database: databasePlace(config.DATABASE_URL),
    dataDirectory: config.DATA_DIR,
    ...(Object.keys(takenPorts).length > 0 ? { takenPorts } : {})
  }
}

/** The port that was asked for, when the listener has another one. */
function movedFrom(listener: string, address: string | undefined, asked: number): Record<string, number> {
  const port = address === undefined ? '' : new URL(address).port // empty when it is the scheme's own
  return asked === 0 || port === '' || Number(port) === asked ? {} : { [listener]: asked }
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
  const taken = (listener: string) => {
    const port = facts.takenPorts?.[listener]
    return port === undefined ? [] : [row('', `port ${port} was taken`)]
  }
  const rows = [
    row('signaling', facts.signaling),
    ...taken('signaling'),
    ...(facts.l2ps === undefined ? [] : [row('l2ps', facts.l2ps), ...taken('l2ps')]),
    row('console', facts.console),
    ...taken('console'),
    row('admin', facts.admin),
    row('', `token in ${facts.adminTokenFile ?? 'ADMIN_TOKEN'}`),
    ...(facts.playground === undefined ? [] : [row('playground', facts.playground)]),
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
