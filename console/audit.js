// The transparency logs: how far each has come, and whether it is what it says.
import { address, reach, refusalOf } from './api.js'
import { announce } from './dialog.js'
import { byId } from './dom.js'
import { ageOf, count } from './format.js'
import { liveTable } from './tables.js'
import { LogFault, verifyLog } from './verify.js'

/** @typedef {import('./rates.js').Stats} Stats */
/** @typedef {Stats['audit']['logs'][number]} Log */
/** @typedef {{ text: string, tone?: 'good' | 'bad' }} Finding */

/** What was found right before, by network: a log must go on from there. */
const CHECKED = 'demos-relay checked logs'

/**
 * @param {(log: Log) => Finding} found
 * @returns {import('./tables.js').Column<Log>[]}
 */
const columns = (found) => [
  { title: 'Log', kind: 'name', of: ({ network }) => network },
  { title: 'Records', kind: 'number', of: ({ size }) => count(size) },
  { title: 'Anchored', kind: 'number', of: ({ anchoredSize }) => count(anchoredSize) },
  {
    title: 'Checkpoint',
    kind: 'number',
    of: ({ checkpointAt }) => (checkpointAt === null ? '–' : `${ageOf(checkpointAt)} ago`)
  },
  { title: 'Found', kind: 'words', of: found }
]

/** Builds the table; `show` puts the logs of an answer of /admin/stats in. */
export function auditLogs() {
  /** @type {Map<string, Finding>} */
  const findings = new Map()
  /** @type {Set<string>} */
  const underWay = new Set()
  /** @type {readonly Log[]} */
  let logs = []
  const table = liveTable(byId('audit'), {
    caption: 'Audit logs',
    empty: 'No record yet.',
    keyOf: (/** @type {Log} */ { network }) => network,
    columns: columns(({ network }) => findings.get(network) ?? { text: 'Not checked yet.' }),
    actions: [
      {
        label: 'Verify',
        about: ({ network }) => `the log ${network}`,
        isLook: true,
        isOffered: ({ checkpointAt }) => checkpointAt !== null,
        run: ({ network }) => verify(network)
      }
    ]
  })

  /** @param {string} network */
  async function verify(network) {
    if (underWay.has(network)) return
    underWay.add(network)
    /** @param {Finding} finding */
    const tell = (finding) => {
      findings.set(network, finding)
      table.show(logs)
    }
    tell({ text: 'Checking …' })
    const finding = await check(network, (done, all) => {
      if (underWay.has(network)) tell({ text: `Checking tile ${count(done)} of ${count(all)} …` })
    })
    underWay.delete(network) // tiles that still come tell nothing any more
    tell(finding)
    announce(`${network}: ${finding.text}`)
  }

  return {
    /** @param {Stats} stats */
    show({ audit }) {
      logs = audit.logs
      table.show(logs)
      byId('audit-halted').hidden = audit.haltedLogs === 0
    }
  }
}

/**
 * One sentence or two about a log.
 * @param {string} network
 * @param {(done: number, all: number) => void} progress
 * @returns {Promise<Finding>}
 */
async function check(network, progress) {
  try {
    const known = readChecked()
    const before = known[network]
    const { checked, recordsPerHash, tiles, continues } = await verifyLog(network, publishedLog(network), {
      before,
      progress
    })
    sessionStorage.setItem(CHECKED, JSON.stringify({ ...known, [network]: checked }))
    const { size, signer } = checked
    const depth =
      recordsPerHash === 1
        ? `the hashes of all ${count(size)} records give the signed root`
        : `the hashes of ${count(size)} records, ${count(recordsPerHash)} at a time, give the signed root; demos-relay audit verify looks below`
    const kept = continues && before !== undefined ? ` It goes on from the ${count(before.size)} checked before.` : ''
    return { text: `Right: key ${signer} signed it, and ${depth} (tiles read: ${count(tiles)}).${kept}`, tone: 'good' }
  } catch (error) {
    if (error instanceof LogFault) return { text: `Wrong: ${error.message}`, tone: 'bad' }
    return { text: `Not checked: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** @returns {Record<string, import('./verify.js').Checked>} */
function readChecked() {
  try {
    return JSON.parse(sessionStorage.getItem(CHECKED) ?? '{}')
  } catch {
    return {}
  }
}

/**
 * @param {string} network
 * @returns {import('./verify.js').Published}
 */
function publishedLog(network) {
  const get = async (/** @type {string[]} */ ...parts) => {
    const response = await reach(address('audit', ...parts))
    if (response.ok) return response
    if (response.status === 404) throw new LogFault(`${parts.slice(1).join('/')} is not there.`)
    const { error: title, message: detail } = await response.json().catch(() => ({}))
    throw refusalOf(response, { title, detail })
  }
  return {
    note: async () => (await get(network, 'checkpoint')).text(),
    key: async () => (await get('vkey')).text(),
    tile: async (level, index, width) => {
      const partial = width === 256 ? [] : [String(width)]
      const path = tilePath(index)
      const last = partial.length === 0 ? path : [...path.slice(0, -1), `${path.at(-1)}.p`, ...partial]
      const response = await get(network, 'tile', String(level), ...last)
      return new Uint8Array(await response.arrayBuffer())
    }
  }
}

/**
 * 1234067 → x001, x234, 067 (tlog-tiles).
 * @param {number} index
 */
function tilePath(index) {
  const digits = String(index).padStart(Math.ceil(String(index).length / 3) * 3, '0')
  const groups = digits.match(/\d{3}/g) ?? []
  return groups.map((group, place) => (place < groups.length - 1 ? `x${group}` : group))
}
