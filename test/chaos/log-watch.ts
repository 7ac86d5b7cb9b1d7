import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { buildGoVerifier, missingForGo } from '../audit/go-verifier.ts'
import { CHAOS_NETWORK } from './dialects.ts'
import { CHAOS_TOKEN, type Stage } from './stage.ts'

const LOGS = ['signaling', CHAOS_NETWORK, 'anchors']
const LOOK_MS = 250

/** Signed checkpoints by network. */
type Checkpoints = ReadonlyMap<string, ReadonlySet<string>>

/** Keeps every checkpoint of every log that anybody could have seen while things broke. */
export function watchLogs(stage: Stage): { stop(): Promise<Checkpoints> } {
  const seen = new Map(LOGS.map((network) => [network, new Set<string>()]))
  const look = async () => {
    for (const [network, notes] of seen) {
      const note = await checkpointOf(stage, network).catch(() => undefined) // it is down just now
      if (note !== undefined) notes.add(note)
    }
  }
  let last = Promise.resolve()
  const timer = setInterval(() => {
    last = last.then(look)
  }, LOOK_MS).unref() // a run that fails does not stop it
  return {
    stop: async () => {
      clearInterval(timer)
      await last
      await look()
      return seen
    }
  }
}

async function checkpointOf(stage: Stage, network: string): Promise<string | undefined> {
  const answer = await fetch(`${httpUrl(stage)}/audit/${network}/checkpoint`)
  const text = await answer.text()
  return answer.ok ? text : undefined
}

/** Has a program that shares nothing with us verify the logs as they are now, and that they continue all that was seen. */
export async function verifyLogsFromOutside(t: TestContext, stage: Stage, seen: Checkpoints): Promise<void> {
  const missing = await missingForGo()
  if (missing !== undefined && process.env.CI !== 'true')
    return t.diagnostic(`logs not verified from outside: ${missing}`)
  const program = await buildGoVerifier(t)
  for (const [network, notes] of seen) {
    assert.ok(notes.size > (network === 'anchors' ? 0 : 1), `the log ${network} was seen to grow`)
    t.diagnostic(await program.verify(httpUrl(stage), { network, older: [...notes], token: CHAOS_TOKEN }))
  }
}

const httpUrl = ({ server: { url } }: Stage): string => String(url).replace(/^ws/, 'http')
