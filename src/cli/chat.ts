import type { Command } from '@commander-js/extra-typings'
import type { Chat, Listener } from '../../examples/chat/chat.ts'
import { signalingPort } from '../config/read.ts'
import type { Config } from '../config/schema.ts'
import { hostToReach } from './admin-client.ts'
import { CommandError, EXIT, endHelp, type Io, UsageError, usual } from './command.ts'
import { painter, plain, shortName } from './format.ts'

interface ChatOptions {
  readonly name?: string | undefined
  readonly to?: string | undefined
  readonly network?: string | undefined
  readonly key?: string | undefined
  readonly passphrase?: string | undefined
  readonly keys?: string | undefined
  readonly url?: string | undefined
}

export function addChat(program: Command, io: Io): void {
  const chat = program
    .command('chat')
    .description('try the server: a terminal chat, end-to-end encrypted')
    .option('--name <name>', 'your name; in a network it only names the file of your keys (default: me)')
    .option('--to <name>', 'the peer you write to; in a network, a public key in hex')
    .option('--network <uid>', 'talk in this L2PS network, not over signaling')
    .option('--key <file>', 'the key the members share: 64 hex digits; demos-relay keygen subnet-key makes one')
    .option('--passphrase <text>', 'words the members share, instead of a key; others on this machine can see them')
    .option('--keys <file>', 'your own keys; made when the file does not exist')
    .option('--url <url>', 'the server (ws://127.0.0.1:3005; for a network ws://127.0.0.1:3006)')
    .action((options) => talk(options, io))
  endHelp(
    chat,
    [
      'Over signaling: demos-relay chat --name alice --to bob, and in another terminal demos-relay chat --name bob --to alice. In an L2PS network: demos-relay chat --network demo --passphrase "our words"; it prints your public key, and /to chooses the peer you write to.',
      'Your keys are made once and kept in demos-relay/chat of XDG_CONFIG_HOME (~/.config), so nobody else can take your name. "sent" means that the server took the message and the peer was connected, "queued" that the message is kept until the peer connects, "delivered" that the peer has it (signaling does not tell that).',
      'Commands in the chat: /to NAME, /who, /quit. Without a terminal, each line of the input is a message, and the chat ends with the input.'
    ],
    { [EXIT.failed]: 'refused, or the connection was lost for good', ...usual(EXIT.unreachable, EXIT.settings) }
  )
}

interface Setup {
  readonly url: string
  readonly keysFile: string
  open(listener: Listener): Promise<Chat>
}

async function talk(options: ChatOptions, io: Io): Promise<void> {
  const { config } = await io.settings()
  const { network, to } = options
  const setup = await (network === undefined
    ? signalingSetup(options, config, io)
    : l2psSetup({ ...options, network }, config, io))
  const [{ createScreen }, { Talk, CHAT_HELP }] = await Promise.all([
    import('../../examples/chat/screen.ts'),
    import('../../examples/chat/talk.ts')
  ])
  const format = { paint: painter(io.colours), plain, shortName }
  const screen = createScreen(io.stdin, io.stdout, '> ')
  try {
    const talk = new Talk(screen, format, to)
    const chat = await setup.open(talk)
    if (chat.me === to) throw new UsageError('--to must be another peer')
    await connect(chat, setup)
    talk.note(`you are ${plain(chat.me)} at ${setup.url}; your keys are in ${setup.keysFile}`)
    if (io.stdout.isTTY) talk.note(CHAT_HELP)
    const held = await talk.run(chat, io.interruption())
    await chat.close()
    if (!held) throw new CommandError(EXIT.failed)
  } finally {
    screen.close()
  }
}

async function connect(chat: Chat, { url, keysFile }: Setup): Promise<void> {
  try {
    await chat.start()
  } catch (cause) {
    const { errorType, details } = cause as { errorType?: string; details: string }
    if (errorType === 'NOT_CONNECTED') {
      throw new CommandError(EXIT.unreachable, `no server answers at ${url} (${details}). --url says where it is`, {
        cause
      })
    }
    const hint =
      errorType === 'CLIENT_ID_TAKEN'
        ? `. ${plain(chat.me)} belongs to other keys than those in ${keysFile}, or is in use: choose another --name`
        : ''
    throw new CommandError(EXIT.failed, `${details ?? (cause as Error).message}${hint}`, { cause })
  }
}

async function signalingSetup(options: ChatOptions, config: Config, io: Io): Promise<Setup> {
  const { name } = options
  if (name === undefined) throw new UsageError('--name NAME is missing')
  for (const option of ['key', 'passphrase'] as const) {
    if (options[option] !== undefined) throw new UsageError(`--${option} is for a network: name it with --network`)
  }
  const [{ keysFile, loadSeed }, { createSignalingChat }, { SEED_BYTES }] = await Promise.all([
    import('./chat-keys.ts'),
    import('../../examples/chat/signaling-chat.ts'),
    import('../../client/src/index.ts')
  ])
  const url = socketUrl(options, config, signalingPort(config))
  const file = options.keys ?? keysFile(io.configHome, name, 'signaling')
  const { seed } = await loadSeed(file, SEED_BYTES)
  return { url, keysFile: file, open: (listener) => createSignalingChat({ url, name, seed }, listener) }
}

async function l2psSetup(options: ChatOptions & { network: string }, config: Config, io: Io): Promise<Setup> {
  const { network, key, passphrase, to } = options
  const [{ keysFile, loadSeed, readSubnetKey, keyOfPassphrase }, { createL2psChat }] = await Promise.all([
    import('./chat-keys.ts'),
    import('../../examples/chat/l2ps-chat.ts')
  ])
  if ((key === undefined) === (passphrase === undefined)) {
    throw new UsageError('--network needs the key its members share: either --key FILE or --passphrase TEXT')
  }
  if (to !== undefined && !/^[0-9a-f]{64}$/.test(to))
    throw new UsageError('--to must be a public key: 64 hex digits in lower case')
  const subnetKey = key === undefined ? keyOfPassphrase(passphrase!, network) : await readSubnetKey(key)
  const url = socketUrl(options, config, config.L2PS_MESSAGING_PORT)
  const file = options.keys ?? keysFile(io.configHome, options.name ?? 'me', 'l2ps')
  const { seed } = await loadSeed(file, 32)
  return { url, keysFile: file, open: (listener) => createL2psChat({ url, network, seed, subnetKey }, listener) }
}

function socketUrl(options: ChatOptions, { HOST }: Config, port: number): string {
  const text = options.url?.replace(/^http(s?):/, 'ws$1:')
  if (text === undefined) return `ws://${hostToReach(HOST)}:${port}`
  if (URL.canParse(text) && /^wss?:$/.test(new URL(text).protocol)) return text
  throw new UsageError('--url must be the address of a server, like ws://127.0.0.1:3005')
}
