import { Pool, type Sql } from '../../src/database/pool.ts'
import { atEnd, type Scope } from './at-end.ts'
import { silentLog } from './test-cluster.ts'

/** One node of a plan that Postgres has carried out. */
export interface PlanNode {
  readonly type: string
  /** The table it reads or changes. */
  readonly table: string | undefined
  readonly index: string | undefined
  /** Rows it read, those its filter threw away included. */
  readonly rows: number
}

export interface ExplainedSql {
  /** One connection with the settings of the server's pool. */
  readonly sql: Sql
  /** The nodes of the plans of what `work` runs, each with what it has read. */
  plansOf(work: () => PromiseLike<unknown>): Promise<PlanNode[]>
}

/** A connection that tells how Postgres carries out its statements: by the plans it keeps, not by new ones. */
export async function explainedSql(t: Scope, url: string): Promise<ExplainedSql> {
  const notices: string[] = []
  const debug = (facts: object) => notices.push((facts as { notice: string }).notice)
  const pool = new Pool({ url, size: 1, statementMs: 30_000, log: { ...silentLog, debug } })
  atEnd(t, () => pool.end(1_000))
  const { sql } = pool
  await sql`load 'auto_explain'`
  await sql`
    select set_config('auto_explain.log_analyze', 'on', false), set_config('auto_explain.log_timing', 'off', false),
      set_config('auto_explain.log_format', 'json', false), set_config('auto_explain.log_level', 'notice', false),
      set_config('auto_explain.log_min_duration', '0', false)`
  return {
    sql,
    plansOf: async (work) => {
      await sql`select 1`
      notices.length = 0
      await work()
      await sql`select 1` // the notice of the last statement has come before this is answered
      return notices.flatMap((notice) => {
        const start = notice.indexOf('plan:\n')
        return start === -1 ? [] : nodesOf((JSON.parse(notice.slice(start + 6)) as { Plan: RawNode }).Plan)
      })
    }
  }
}

interface RawNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly Plans?: readonly RawNode[]
}

function nodesOf(node: RawNode): PlanNode[] {
  const rows = (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops']
  const { 'Node Type': type, 'Relation Name': table, 'Index Name': index } = node
  return [{ type, table, index, rows }, ...(node.Plans ?? []).flatMap(nodesOf)]
}
