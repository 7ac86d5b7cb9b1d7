import { type Command, CommandError, EXIT } from './command.ts'

export const bench: Command = {
  name: 'bench',
  summary: 'measure this server (in a source checkout)',
  about: [
    'Runs the benchmark of a source checkout, as npm run bench does; it is not part of the installed package. Options are handed on: demos-relay bench -- --help lists them.'
  ],
  handsOn: true,
  actions: [
    {
      name: '',
      about: 'Run the benchmark.',
      run: async (call, io) => {
        const [{ existsSync }, { spawn }, { packageFile }] = await Promise.all([
          import('node:fs'),
          import('node:child_process'),
          import('../util/package-root.ts')
        ])
        const program = packageFile('bench/main.ts')
        if (!existsSync(program)) {
          throw new CommandError(
            EXIT.failed,
            `the benchmark is not part of the installed package: run it in a source checkout (${program} is not there)`
          )
        }
        io.interruption() // it gets the signal too, and cleans up before it ends
        const args = call.args[0] === '--' ? call.args.slice(1) : call.args
        const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), program, ...args], {
          stdio: 'inherit'
        })
        const code = await new Promise<number | null>((resolve, reject) => {
          child.once('error', reject)
          child.once('close', resolve)
        })
        return code === EXIT.ok || code === EXIT.usage ? code : EXIT.failed
      }
    }
  ]
}
