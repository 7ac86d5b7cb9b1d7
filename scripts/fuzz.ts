// npm run fuzz: generated frames and requests at the real server, as many as wanted.
import { rm } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { fuzz } from '../test/fuzz/fuzz.ts'
import type { Scope } from '../test/helpers/at-end.ts'
import { ADMIN_URL, makeTestHome, startTestCluster } from '../test/helpers/test-cluster.ts'
import { onStop } from './on-stop.ts'

const HELP = `npm run fuzz -- [options]

Sends generated frames of both protocols and requests over HTTP to the real server on a real Postgres, beside two pairs
that talk. Exit code 1, and what is wrong: an answer that the documents do not have, one too many or too few, an error in
the log, a message of the pairs that did not come.

  --frames N   how many (1,000,000)
  --seed N     what they are; the same seed, the same frames (default: the time)
  --help       this text
`

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() & 0x7fffffff) },
    help: { type: 'boolean', default: false }
  }
})
const undo: (() => unknown)[] = []
const scope = { after: (step: () => unknown) => void undo.push(step) } as Scope
let ending: Promise<void> | undefined
onStop(end)

if (values.help) process.stdout.write(HELP)
else await main()
process.exit()

async function main(): Promise<void> {
  const [frames, seed] = [Number(values.frames), Number(values.seed)]
  try {
    const home = await makeTestHome()
    undo.push(() => rm(home, { recursive: true, force: true }))
    const cluster = await startTestCluster(home)
    undo.push(() => cluster.stop())
    process.env[ADMIN_URL] = cluster.url('postgres')
    process.stderr.write(`npm run fuzz -- --frames ${frames} --seed ${seed}\n`)
    const { problems, said, seconds } = await fuzz(scope, { frames, seed })
    process.stdout.write(`${frames} frames in ${seconds.toFixed(1)} s, ${said} messages of the pairs\n`)
    for (const problem of problems) process.stdout.write(`${problem}\n`)
    process.exitCode = problems.length > 0 ? 1 : 0
  } finally {
    await end()
  }
}

function end(): Promise<void> {
  ending ??= (async () => {
    for (const step of undo.reverse()) await step()
  })()
  return ending
}
