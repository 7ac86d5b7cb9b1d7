import { audit } from './audit.ts'
import { backup } from './backup.ts'
import { bench } from './bench.ts'
import { chat } from './chat.ts'
import { checkConfig } from './check-config.ts'
import { checkHealth } from './check-health.ts'
import type { Command } from './command.ts'
import { keygen } from './keygen.ts'
import { networks } from './networks.ts'
import { peers } from './peers.ts'
import { queues } from './queues.ts'
import { restore } from './restore.ts'
import { serve } from './serve.ts'
import { status } from './status.ts'

/** Every command, in the order of the help. Their modules only declare; what they run is loaded when it is called. */
export const COMMANDS: readonly Command[] = [
  ...[serve, checkConfig, checkHealth, keygen],
  ...[status, peers, queues, networks],
  ...[audit, backup, restore],
  ...[chat, bench]
]

export const commandNamed = (name: string | undefined): Command | undefined =>
  COMMANDS.find((command) => command.name === name)
