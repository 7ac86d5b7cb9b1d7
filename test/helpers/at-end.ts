import type { TestContext } from 'node:test'

type Step = () => unknown
/** What things are taken down with: a test, or whatever else says when it is over. */
export type Scope = Pick<TestContext, 'after'>

const stepsOf = new WeakMap<Scope, Step[]>()

/** Runs `step` when the test (or other scope) has ended. The last one asked for goes first, as what was built last is taken down first. */
export function atEnd(t: Scope, step: Step): void {
  const known = stepsOf.get(t)
  if (known) return void known.push(step)
  const steps = [step]
  stepsOf.set(t, steps)
  t.after(async () => {
    const failures: unknown[] = []
    for (const each of steps.reverse()) {
      try {
        await each()
      } catch (error) {
        failures.push(error)
      }
    }
    if (failures.length > 0) throw failures[0]
  })
}
