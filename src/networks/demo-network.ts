import type { Database } from '../database/database.ts'
import { makeFirstNetwork } from '../store/l2ps-network.ts'
import type { Log } from '../util/log.ts'
import type { NetworkRegistry } from './registry.ts'

const DEMO = {
  uid: 'demo',
  name: 'Demo',
  description: 'Open to everybody who can reach this server: for trying it out.'
}

/**
 * A newcomer finds one network to join: the first start with an embedded database makes `demo` in it, unless the
 * operator has a network already, valid or not. The database remembers its first start, so whoever deletes `demo` is
 * rid of it.
 */
export async function ensureDemoNetwork(
  registry: NetworkRegistry,
  database: Pick<Database, 'sql' | 'within' | 'embedded'>,
  log: Log
): Promise<void> {
  if (!database.embedded) return
  const wanted = registry.list().length === 0 && registry.faults().length === 0
  if (!(await database.within(makeFirstNetwork(database.sql, DEMO, wanted)))) return
  await registry.refresh()
  log.info({ networkUid: DEMO.uid }, 'first start: made an L2PS network for trying it out')
}
