// Named tokens: made, listed and revoked in the file the server reads.
import { Argument, type Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { Value } from '@sinclair/typebox/value'
import { adminTokenFile, tokensFile } from '../config/files.ts'
import { changeTokens, digestOf, FIRST_TOKEN, makeToken, ROLES, readTokens, TokenName } from '../http/tokens.ts'
import { JSON_OUTPUT } from './admin-client.ts'
import { CommandError, EXIT, endHelp, type Io, usual } from './command.ts'
import { agoOf } from './format.ts'
import { printJson, printList } from './output.ts'

const NAME = new Argument('<name>', 'letters, digits, dot, hyphen and underscore').argParser((text) => {
  if (Value.Check(TokenName, text) && text !== FIRST_TOKEN) return text
  throw new InvalidArgumentError(`At most 64 letters, digits, dots, hyphens and underscores; not ${FIRST_TOKEN}.`)
})
const ROLE = new Option('--role <role>', 'admin may do everything, viewer only read').choices(ROLES).default('viewer')

interface Printed {
  readonly json?: true | undefined
}

export function addTokens(program: Command, io: Io): void {
  const tokens = program
    .command('token')
    .enablePositionalOptions(false)
    .description('make, list and revoke named tokens of the administration')
    .addOption(JSON_OUTPUT)
  tokens
    .command('create')
    .description('make a token and print it: it is shown this once')
    .addArgument(NAME)
    .addOption(ROLE)
    .action((name, _, command) => create(name, command.optsWithGlobals(), io))
  tokens
    .command('list', { isDefault: true })
    .description('list the named tokens (the default)')
    .action((_, command) => list(command.optsWithGlobals(), io))
  tokens
    .command('revoke')
    .description('end a token at once')
    .addArgument(NAME)
    .action((name, _, command) => revoke(name, command.optsWithGlobals(), io))
  const about = `Works on the file TOKENS_FILE, or tokens.json in DATA_DIR, without a server; a running server reads it again by itself. Run it as the user of the server. The token ADMIN_TOKEN, or admin.token in DATA_DIR, is called ${FIRST_TOKEN} and is not in the file.`
  endHelp(tokens, [about], {
    [EXIT.failed]: 'the name exists or is unknown, or the file cannot be used',
    ...usual(EXIT.settings)
  })
}

async function fileOf(io: Io): Promise<string> {
  const { config } = await io.settings()
  return tokensFile(config.DATA_DIR, config.TOKENS_FILE)
}

async function create(name: string, { role, json }: Printed & { role: (typeof ROLES)[number] }, io: Io) {
  const path = await fileOf(io)
  const token = makeToken()
  const made = { name, role, sha256: digestOf(token).toString('hex'), createdAt: new Date().toISOString() }
  await change(path, (tokens) => {
    if (tokens.some((other) => other.name === name)) throw new Error(`there is a token called ${name}: revoke it first`)
    return [...tokens, made]
  })
  if (json) printJson({ name, role, token, file: path }, io)
  else {
    io.stderr.write(`The token ${name} (${role}) is in ${path}, as a digest. This is the only time it is shown:\n`)
    io.stdout.write(`${token}\n`)
  }
}

async function list(options: Printed, io: Io): Promise<void> {
  const { config } = await io.settings()
  const path = tokensFile(config.DATA_DIR, config.TOKENS_FILE)
  const found = (await readTokens(path).catch(failed)).map(({ sha256, ...token }) => token)
  const now = Date.now()
  printList('token', found, options, io, [
    { head: 'NAME', cell: ({ name }) => name },
    { head: 'ROLE', cell: ({ role }) => role },
    { head: 'MADE', cell: ({ createdAt }) => agoOf(createdAt, now) }
  ])
  if (options.json) return
  const first = config.ADMIN_TOKEN === undefined ? adminTokenFile(config.DATA_DIR) : 'ADMIN_TOKEN'
  io.stdout.write(`And the token ${FIRST_TOKEN}, from ${first}.\n`)
}

async function revoke(name: string, { json }: Printed, io: Io): Promise<void> {
  await change(await fileOf(io), (tokens) => {
    const rest = tokens.filter((token) => token.name !== name)
    if (rest.length === tokens.length) throw new Error(`there is no token called ${name}`)
    return rest
  })
  if (json) printJson({ revoked: name }, io)
  else io.stdout.write(`The token ${name} is revoked.\n`)
}

const change = (path: string, how: Parameters<typeof changeTokens>[1]) => changeTokens(path, how).catch(failed)

function failed(error: Error): never {
  throw new CommandError(EXIT.failed, error.message)
}
