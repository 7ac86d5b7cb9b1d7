// The machines that relays run on in these tests: namespaces of this one.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { atEnd } from '../helpers/at-end.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import { makeHost, missingForHosts } from './host.ts'

test('machines of several runs have addresses of their own, and those of a run that was killed are removed', async (t) => {
  const missing = await missingForHosts()
  if (missing !== undefined && process.env.CI !== 'true') return t.skip(missing)
  const other = await runWithHost(t)
  const own = await makeHost(t)
  assert.notEqual(own.address, other.address)
  assert.ok(namespaces().includes(other.namespace), 'a run that goes on keeps its machines')

  other.process.kill('SIGKILL')
  await once(other.process, 'exit')
  await makeHost(t)
  assert.ok(!namespaces().includes(other.namespace))
})

function namespaces(): string[] {
  return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split(/\s+/)
}

/** Another process with one such machine, which it does not remove. */
async function runWithHost(t: TestContext) {
  const script = `
    import { makeHost } from ${JSON.stringify(ownFile('test/chaos/host.ts'))}
    const { address, prefix } = await makeHost({ after: () => {} })
    console.log(JSON.stringify({ address, namespace: prefix.at(-1) }))
    setInterval(() => {}, 1_000)`
  const child = spawn(process.execPath, [...OWN_OPTIONS, '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  atEnd(t, () => void child.kill('SIGKILL'))
  const [line] = await once(createInterface(child.stdout), 'line')
  return { process: child, ...(JSON.parse(line) as { address: string; namespace: string }) }
}
