import { type Command, CommandError, EXIT, usual } from './command.ts'

export const checkHealth: Command = {
  name: 'check-health',
  summary: 'ask the server with these settings whether it lives',
  about: [
    'For the health check of a container: asks on this machine, over TLS where the settings say so, and says nothing when all is well.'
  ],
  actions: [
    {
      name: '',
      about: 'Ask.',
      run: async (_call, io) => {
        const { config } = await io.settings()
        const problem = await (await import('./health-probe.ts')).checkHealth(config)
        if (problem !== undefined) throw new CommandError(EXIT.failed, problem)
        return EXIT.ok
      }
    }
  ],
  exits: { [EXIT.ok]: 'it lives', [EXIT.failed]: 'it does not, or nobody is there', ...usual(EXIT.settings) }
}
