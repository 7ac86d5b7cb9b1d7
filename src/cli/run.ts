import { readCall, readRequest } from './arguments.ts'
import { type Command, CommandError, EXIT, type ExitCode, type Io, UsageError } from './command.ts'
import { commandHelp, generalHelp, usage, usageOf } from './help.ts'

/** Does what the arguments ask for. Resolves to the exit code; whatever went wrong has been said on standard error. */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  const request = readRequest(args)
  switch (request.ask) {
    case 'unknown':
      io.stderr.write(`demos-relay: ${request.complaint}\n\n${usage()}`)
      return EXIT.usage
    case 'help':
      io.stdout.write(request.command === undefined ? await wholeHelp() : commandHelp(request.command))
      return EXIT.ok
    case 'version': {
      const { VERSION } = await import('../util/version.ts')
      io.stdout.write(`${VERSION}\n`)
      return EXIT.ok
    }
    case 'run':
      return runCommand(request.command, request.rest, io)
  }
}

async function wholeHelp(): Promise<string> {
  const { configHelp } = await import('../config/print.ts')
  return generalHelp(configHelp())
}

async function runCommand(command: Command, rest: readonly string[], io: Io): Promise<ExitCode> {
  try {
    const { action, call } = readCall(command, rest)
    return await action.run(call, io)
  } catch (error) {
    const isUsage = error instanceof UsageError
    const name = isUsage || command.name === 'serve' || command.name === 'check-config' ? '' : ` ${command.name}`
    const help = isUsage ? `\n${usageOf(command)}\n` : ''
    io.stderr.write(`demos-relay${name}: ${(error as Error).message}\n${help}`)
    return error instanceof CommandError ? error.exit : EXIT.failed
  }
}
