import type { TestContext } from 'node:test'

type Step = () => unknown

const stepsOf = new WeakMap<TestContext, Step[]>()

/** Runs `step` when the test has ended. The last one asked for goes first, as what was built last is taken down first. */
export function atEnd(t: TestContext, step: Step): void {
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
