import type { Command } from '@commander-js/extra-typings'
import { CommandError, EXIT, endHelp, type Io } from './command.ts'

export function addBench(program: Command, io: Io): void {
  const bench = program
    .command('bench')
    .description('measure this server (in a source checkout)')
    .argument('[args...]', 'arguments of the benchmark; demos-relay bench -- --help lists them')
    .allowUnknownOption()
    .passThroughOptions()
    .action((args) => runBenchmark(args, io))
  endHelp(bench, [
    'Runs the benchmark of a source checkout, as npm run bench does; the installed package does not contain it.'
  ])
}

async function runBenchmark(args: readonly string[], io: Io): Promise<void> {
  const [{ existsSync }, { spawn }, { packageFile }] = await Promise.all([
    import('node:fs'),
    import('node:child_process'),
    import('../util/package-root.ts')
  ])
  const program = packageFile('bench/main.ts')
  if (!existsSync(program)) {
    throw new CommandError(
      EXIT.failed,
      `the benchmark is not part of the installed package: run it in a source checkout (${program} does not exist)`
    )
  }
  io.interruption() // a signal also reaches the child, which cleans up before it ends
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), program, ...args], {
    stdio: 'inherit'
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== EXIT.ok) throw new CommandError(code === EXIT.usage ? code : EXIT.failed)
}
