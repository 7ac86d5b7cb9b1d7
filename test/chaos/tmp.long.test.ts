import { test } from 'node:test'
import { PARTITIONS } from './relay-nemeses.ts'
import { openRelayStage } from './relay-stage.ts'
import { closingLine, complaint } from './report.ts'
import { runChaos } from './run.ts'

test('tmp', async (t) => {
  const stage = await openRelayStage(t, 2, 'nats', { hosts: true })
  let n = 0
  for (const name of ["cut-from-both","mute-to-bus","deaf-to-bus","mute-to-database"] as const) {
    try {
      const result = await runChaos(stage, { seed: 7000 + n++, nemeses: [name], activeMs: 1000 })
      console.log(closingLine(result), 'internal', result.internalErrors)
      if (!result.ok) {
        console.log(complaint(result).slice(0, 2000))
      }
    } catch (e) {
      console.log(name, e)
      for (const s of stage.servers)
        console.log(
          s.tail
            .map((l) => l.slice(0, 400))
            .slice(-8)
            .join('\n')
        )
    }
  }
})
