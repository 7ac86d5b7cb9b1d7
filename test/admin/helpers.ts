import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Sql } from '../../src/database/database.ts'
import { PROBLEMS, type ProblemName, problemType } from '../../src/protocol/problems.ts'
import type { ServerOptions } from '../../src/server.ts'
import { type InboxEvent, takeAuditEvents } from '../../src/store/audit-inbox.ts'
import type { Peer } from '../helpers/peer.ts'
import { type Settings, startTestServer, type TestServer } from '../helpers/server.ts'

export const TOKEN = 'a-token-for-tests-only'

export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: a test states what it expects by reading it
  readonly body: any
  readonly text: string
}

export interface AdministeredServer extends TestServer {
  /** Asks with the token, over HTTP. */
  ask(method: string, path: string, body?: unknown): Promise<Answer>
  /** Asks, and expects to hear yes. */
  ok(method: string, path: string, body?: unknown): Promise<Answer['body']>
  /** Asks, and expects this problem. Returns its `field`. */
  refused(problem: ProblemName, method: string, path: string, body?: unknown): Promise<string | undefined>
  /** What was put on record since this was asked last, apart from messages. */
  records(): Promise<Partial<InboxEvent>[]>
}

/** The real server; nobody takes its audit records away, so a test can count them. */
export async function startAdministered(
  t: TestContext,
  settings: Settings = {},
  options: ServerOptions = {}
): Promise<AdministeredServer> {
  return administered(await startTestServer(t, { ADMIN_TOKEN: TOKEN, ...settings }, { withoutAudit: true, ...options }))
}

/** A server that was started with this token. */
export function administered(server: TestServer, token = TOKEN): AdministeredServer {
  const ask = (method: string, path: string, body?: unknown) => request(server, token, method, path, body)
  return {
    ...server,
    ask,
    ok: async (method, path, body) => {
      const answer = await ask(method, path, body)
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`)
      assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
      assert.equal(answer.headers.get('cache-control'), 'no-store')
      return answer.body
    },
    refused: async (problem, method, path, body) => {
      const answer = await ask(method, path, body)
      assert.deepEqual(
        [answer.status, answer.body.type],
        [PROBLEMS[problem].status, problemType(problem)],
        `${method} ${path}: ${answer.text}`
      )
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/)
      return answer.body.field
    },
    records: () => takeRecords(server.app.database.sql)
  }
}

async function request(
  server: TestServer,
  token: string,
  method: string,
  path: string,
  body: unknown
): Promise<Answer> {
  const response = await fetch(`${server.addresses.http}/admin${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' })
    },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) })
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text), text }
}

async function takeRecords(sql: Sql): Promise<Partial<InboxEvent>[]> {
  const events = (await sql.begin((tx) => takeAuditEvents(tx, 1_000, []))) as InboxEvent[]
  return events.map(({ salt, acceptedAt, ...event }) =>
    Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null))
  )
}

/** Entries of the mailboxes and what the quotas count of them: both must tell the same. */
export async function held(server: TestServer): Promise<{ entries: number; sender: number; recipient: number }> {
  await server.app.mailboxes.drained()
  const [row] = await server.app.database.sql<{ entries: number; sender: number; recipient: number }[]>`
    select (select count(*) from queue_entry) as entries,
      (select coalesce(sum(entries), 0)::bigint from quota where role = 'sender') as sender,
      (select coalesce(sum(entries), 0)::bigint from quota where role = 'recipient') as recipient`
  return row!
}

export const message = (targetId: string, body: unknown) => ({
  type: 'message',
  payload: { targetId, message: body },
  timestamp: 1
})

/** Sends to peers that are away, and waits until all of it is stored. */
export async function store(sender: Peer, ...messages: readonly (readonly [to: string, body: unknown])[]) {
  for (const [to, body] of messages) sender.send(message(to, body))
  for (const _ of messages) await sender.next('message_queued')
}

/** Every page of a list, with `between` done after each. */
export async function pages(
  server: AdministeredServer,
  path: string,
  list: string,
  between: (page: number) => Promise<unknown> = async () => {}
): Promise<Answer['body'][][]> {
  const found: Answer['body'][][] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query = cursor === '' ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`
    const body = await server.ok('GET', `${path}${query}`)
    found.push(body[list])
    cursor = body.nextCursor
    if (cursor !== null) await between(found.length)
  }
  return found
}
