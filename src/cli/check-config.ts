import { type Command, CommandError, EXIT, settingsAreWrong, usual } from './command.ts'

export const checkConfig: Command = {
  name: 'check-config',
  summary: "check the environment's settings and stop; also --check-config",
  about: ['Names every mistake at once. Reads files that hold secrets, connects to nothing.'],
  actions: [
    {
      name: '',
      about: 'Check the settings.',
      run: async (_call, io) => {
        const { config, warnings } = await io.settings()
        const { certificateMistake } = await import('../http/tls/certificate.ts')
        const mistake = await certificateMistake(config)
        if (mistake !== undefined) throw new CommandError(EXIT.settings, settingsAreWrong([mistake], warnings))
        for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`)
        io.stdout.write('The settings are fine.\n')
        return EXIT.ok
      }
    }
  ],
  exits: { ...usual(EXIT.settings) }
}
