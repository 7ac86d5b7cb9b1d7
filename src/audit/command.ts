// demos-relay audit …: what an auditor or an operator asks from the command line.
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { auditDirectory, nodeKeyFile } from '../config/files.ts'
import { type Database, openDatabase } from '../database/database.ts'
import { ANCHORS, type AuditLog, allLogs } from '../store/audit-log.ts'
import { parseVerifier, type Verifier, verifierLine } from '../tlog/note.ts'
import type { Log } from '../util/log.ts'
import { acceptRestore } from './accept-restore.ts'
import { CheckpointMemory, type Remembered } from './checkpoint-file.ts'
import { storedFaults } from './consistency.ts'
import { nodeVerifier } from './node-key.ts'
import { type AuditRecord, parseRecord } from './record.ts'
import { rekey } from './signer.ts'
import { postgresSource, readVerifierLine, urlSource } from './sources.ts'
import { openNode } from './trail.ts'
import { type AnchoredTree, type LogVerdict, logOf, verifyLog } from './verify.ts'

/** The settings the command needs, as the configuration has them. */
export interface AuditCommandSettings {
  readonly databaseUrl: string | (() => string) | undefined
  readonly pooler?: 'session' | 'transaction' | undefined
  readonly dataDir: string
  readonly nodeKeyFile: string | undefined
  readonly origin: string | undefined
  readonly adminToken: string | undefined
  readonly poolSize: number
  readonly deadlineMs: number
}

export interface AuditCommandIo {
  readonly settings: AuditCommandSettings
  /** A line of the result. */
  readonly print: (line: string) => void
  /** How far it is; overwritten by the next one on a terminal. */
  readonly progress: (line: string) => void
  readonly log: Log
}

const OPTIONS = {
  network: { type: 'string' },
  'from-url': { type: 'string' },
  vkey: { type: 'string' },
  'old-key': { type: 'string' }
} as const

/** Runs `audit <args>`; returns the exit code: 0 fine, 1 not fine, 2 not a command. Ends with one line. */
export async function runAuditCommand(args: readonly string[], io: AuditCommandIo): Promise<0 | 1 | 2> {
  const call = parseCall(args)
  if (call === undefined) {
    io.print('Usage: demos-relay audit verify | accept-restore | rekey; see demos-relay audit --help')
    return 2
  }
  try {
    if (call.command === 'accept-restore') return await accept(call.network, io)
    if (call.command === 'rekey') return await giveToKey(call['old-key'], io)
    const url = call['from-url']
    const isFromUrl = url !== undefined
    return conclude(isFromUrl ? await verifyUrl(url, call, io) : await verifyDatabase(call, io), isFromUrl, io)
  } catch (error) {
    io.print(`audit ${call.command}: FAILED, ${(error as Error).message}`)
    return 1
  }
}

type Values = { network?: string; 'from-url'?: string; vkey?: string; 'old-key'?: string }
type Call = ({ command: 'verify' | 'rekey' } & Values) | { command: 'accept-restore'; network: string }

function parseCall(args: readonly string[]): Call | undefined {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
    const [command, ...rest] = positionals
    if (rest.length > 0) return undefined
    if (command === 'verify' || command === 'rekey') return { command, ...values }
    const { network } = values
    return command === 'accept-restore' && network !== undefined ? { command, network } : undefined
  } catch {
    return undefined
  }
}

async function verifyDatabase({ network, vkey }: Values, io: AuditCommandIo): Promise<LogVerdict[]> {
  const verifier = vkey === undefined ? await ownVerifier(io.settings) : parseVerifier(vkey)
  const memory = await CheckpointMemory.open(auditDirectory(io.settings.dataDir))
  return withDatabase(io, async (database) => {
    const logs = (await database.within(allLogs(database.sql))).filter(
      (log) => network === undefined || log.network === network
    )
    const remembered = memory.all().filter((last) => network === undefined || last.network === network)
    const anchors = new AnchoredTrees()
    const verdicts: LogVerdict[] = remembered.flatMap((last) =>
      logs.some((log) => log.network === last.network) ? [] : [lost(last)]
    )
    if (network !== undefined && logs.length === 0 && verdicts.length === 0) verdicts.push(unknown(network))
    for (const log of logs.sort(anchorsFirst)) {
      if (log.publishedNote === null && log.size === 0) continue
      const source = postgresSource(database, log)
      const verdict = await verifyLog({ network: log.network, source, verifier, ...anchors.within(log.network, io) })
      const findings = await storedFaults(database, log, memory.get(log.network))
      verdicts.push({ ...verdict, findings: [...verdict.findings, ...findings] })
    }
    return verdicts
  })
}

const lost = ({ network, size }: Remembered): LogVerdict => ({
  ...{ network, size: 0, isWithheld: false },
  findings: [`the database has no such log, but ${size} records of it were signed`]
})

const unknown = (network: string): LogVerdict => ({
  ...{ network, size: 0, isWithheld: false },
  findings: ['there is no log of this name']
})

async function verifyUrl(url: string, { network, vkey }: Values, io: AuditCommandIo): Promise<LogVerdict[]> {
  const verifier = parseVerifier(vkey ?? (await readVerifierLine(url)))
  if (vkey === undefined) io.print(`key shown by the server itself (give --vkey to compare): ${verifier.name}`)
  const verdicts: LogVerdict[] = []
  const anchors = new AnchoredTrees()
  const verify = async (name: string) => {
    const source = urlSource(url, name, io.settings.adminToken)
    if (network === undefined && (await source.checkpoint()) === undefined) return
    verdicts.push(await verifyLog({ network: name, source, verifier, ...anchors.within(name, io) }))
  }
  if (network !== undefined) await verify(network)
  else {
    await verify(ANCHORS)
    for (const name of new Set(['signaling', ...anchors.networks])) await verify(name)
  }
  return verdicts
}

function conclude(verdicts: readonly LogVerdict[], isFromUrl: boolean, { print }: AuditCommandIo): 0 | 1 {
  for (const { network, size, isWithheld, findings } of verdicts) {
    for (const finding of findings) print(`${network}: ${finding}`)
    const what = isWithheld ? 'hashes verified, the records are not public' : 'records verified'
    if (findings.length === 0) print(`${network}: ${size} ${what}`)
  }
  if (verdicts.length === 0) {
    // The database names all its logs; a server names none, so it may have some that were not looked for.
    print(
      isFromUrl
        ? 'audit verify: FAILED, nothing was verified: no log was found there; name one with --network'
        : 'audit verify: nothing to verify, the database has no audit log yet'
    )
    return isFromUrl ? 1 : 0
  }
  const broken = verdicts.filter(({ findings }) => findings.length > 0)
  const total = verdicts.reduce((sum, { size }) => sum + size, 0)
  const logs = verdicts.length === 1 ? '1 log' : `${verdicts.length} logs`
  if (broken.length === 0) print(`audit verify: fine, ${logs} with ${total} records${unread(verdicts)}`)
  else print(`audit verify: FAILED in ${broken.length} of ${logs}: ${broken.map((v) => v.network).join(', ')}`)
  return broken.length === 0 ? 0 : 1
}

/** Which logs were checked by their hashes alone. Without the records of the checkpoints, further networks stay unknown. */
function unread(verdicts: readonly LogVerdict[]): string {
  const withheld = verdicts.filter(({ isWithheld }) => isWithheld).map(({ network }) => network)
  if (withheld.length === 0) return ''
  const further = withheld.includes(ANCHORS) ? '; logs of further networks are not known without it, see --network' : ''
  return `; NOT CHECKED: the records of ${withheld.join(', ')}, which want the admin token${further}`
}

async function accept(network: string, io: AuditCommandIo): Promise<0 | 1> {
  const node = await openNode(io.settings)
  const memory = await CheckpointMemory.open(auditDirectory(io.settings.dataDir))
  const outcome = await withDatabase(io, (database) => acceptRestore(database, memory, network, Date.now()))
  io.print(
    outcome === undefined
      ? `audit accept-restore: ${network} is not behind what was signed, nothing to do`
      : `audit accept-restore: ${network} goes on with ${outcome.size} records as ${node.name}/…@${outcome.epoch}; ${outcome.lostSize} were signed before`
  )
  return 0
}

async function giveToKey(oldKeyFile: string | undefined, io: AuditCommandIo): Promise<0 | 1> {
  const settings = { ...io.settings, now: Date.now }
  const change = await withDatabase(io, (database) => rekey(database, settings, oldKeyFile))
  if (change === undefined) {
    io.print('audit rekey: the node key signs this database already, or nothing was signed yet; nothing to do')
    return 0
  }
  const { node, oldKey, isCountersigned, logs } = change
  io.print(`verifier key from now on: ${verifierLine(nodeVerifier(node))}`)
  const before = oldKey === undefined ? 'a key that is not known' : `key ${oldKey}`
  const by = isCountersigned ? 'both keys' : 'the new key alone'
  io.print(`audit rekey: ${logs} logs go on from ${before}; each gets a record of it, signed by ${by}`)
  return 0
}

async function ownVerifier(settings: AuditCommandSettings): Promise<Verifier> {
  const path = nodeKeyFile(settings.dataDir, settings.nodeKeyFile)
  if (!existsSync(path)) throw new Error(`there is no node key at ${path}: name the verifier key with --vkey`)
  return nodeVerifier(await openNode(settings))
}

async function withDatabase<T>(io: AuditCommandIo, work: (database: Database) => Promise<T>): Promise<T> {
  const { databaseUrl: url, pooler, dataDir, poolSize, deadlineMs } = io.settings
  const database = await openDatabase({ url, pooler, dataDir, poolSize, deadlineMs }, io.log)
  try {
    return await work(database)
  } finally {
    await database.close()
  }
}

/** The log of checkpoints comes first: what it says is held against the others. */
const anchorsFirst = (a: AuditLog, b: AuditLog): number =>
  Number(b.network === ANCHORS) - Number(a.network === ANCHORS) || (a.network < b.network ? -1 : 1)

/** What the log of checkpoints says about the others, once it was read. */
class AnchoredTrees {
  readonly networks = new Set<string>()
  readonly #byLog = new Map<string, AnchoredTree[]>()

  /** What verifying a network takes from here, or leaves here. */
  within(network: string, { progress }: AuditCommandIo) {
    const onProgress = (done: number, total: number) => progress(`${network}: ${done} of ${total} records`)
    if (network !== ANCHORS) return { onProgress, anchored: this.#byLog }
    return { onProgress, onRecord: (index: number, entry: Uint8Array) => this.#add(index, parseRecord(entry)) }
  }

  #add(index: number, record: AuditRecord | undefined): void {
    if (record?.type !== 'checkpoint') return
    const { of, origin, size, rootHash } = record
    this.networks.add(decodeURIComponent(of))
    const log = logOf(origin)
    const trees = this.#byLog.get(log)
    if (trees === undefined) this.#byLog.set(log, [{ index, size, rootHash }])
    else trees.push({ index, size, rootHash })
  }
}
