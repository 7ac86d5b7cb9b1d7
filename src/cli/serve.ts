import { type Command, EXIT, usual } from './command.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'start the server (the default)',
  about: [
    'Everything is set by environment variables; demos-relay --help lists them. Without any, an embedded PostgreSQL runs under ./data. SIGTERM or Ctrl-C stops it gracefully, a second one at once.'
  ],
  actions: [{ name: '', about: 'Start the server.', run: (_call, io) => io.serve() }],
  exits: { 1: 'could not start, or crashed', ...usual(EXIT.settings) }
}
