import { createInterface } from 'node:readline/promises'
import { type Io, UsageError } from './command.ts'

/** Asks a person on a terminal; resolves to whether it agreed. Elsewhere nobody can be asked, and --yes is needed. */
export async function confirm(question: string, io: Io): Promise<boolean> {
  if (!io.stdin.isTTY || !io.stderr.isTTY) throw new UsageError(`${question} Say so with --yes`)
  const prompt = createInterface({ input: io.stdin, output: io.stderr })
  try {
    const answer = await prompt.question(`${question} [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    prompt.close()
  }
}

/** The option for those who need not be asked. */
export const YES = { about: 'do not ask; needed where there is no terminal' }
