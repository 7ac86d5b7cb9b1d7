import { test } from 'node:test'
import { openRelayStage } from './relay-stage.ts'
import { closingLine, complaint } from './report.ts'
import { runChaos } from './run.ts'

test('tmp', async (t) => {
  const stage = await openRelayStage(t, 2, 'postgres')
  for (let n = 0; n < 4; n++) {
    const result = await runChaos(stage, { seed: 5000 + n, nemeses: ['lose-a-third'], activeMs: 1500 })
    console.log(closingLine(result))
    if (!result.ok) {
      console.log(complaint(result).slice(0, 3000))
      for (const s of stage.servers) console.log(s.tail.join('\n').slice(-3000))
    }
  }
  const at = performance.now()
  await stage.stopRelay(stage.seats[1]!)
  console.log('stopped in', performance.now() - at)
  console.log(stage.servers[1]!.tail.slice(-12).join('\n'), stage.servers[1]!.problems)
})
