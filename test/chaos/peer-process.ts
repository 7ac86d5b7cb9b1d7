import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { atEnd, type Scope } from '../helpers/at-end.ts'
import { OWN_OPTIONS, ownFile } from '../helpers/own-program.ts'
import type { PeerEvent } from './history.ts'
import type { GroupPlan, PeerGroup } from './peers.ts'

/** What goes to the process of peer-child.ts, and what comes back. */
export type Command =
  | { readonly call: number; readonly do: 'start'; readonly plan: GroupPlan }
  | { readonly call: number; readonly do: 'registered' | 'settle' | 'reconnect' | 'end' }
  | { readonly call: number; readonly do: 'disturb'; readonly name: string; readonly isRestless: boolean }
export type Reply = { readonly event: PeerEvent } | { readonly call: number; readonly error?: string }

type Unnumbered<T> = T extends unknown ? Omit<T, 'call'> : never

/** A process for peers: clients that can be stopped where they stand, their sockets open. */
export interface PeerProcess {
  start(plan: GroupPlan, emit: (event: PeerEvent) => void): Promise<PeerGroup>
  freeze(): void
  thaw(): void
}

export async function startPeerProcess(scope: Scope): Promise<PeerProcess> {
  const child = fork(ownFile('test/chaos/peer-child.ts'), {
    execArgv: [...OWN_OPTIONS],
    stdio: ['ignore', 2, 2, 'ipc']
  })
  atEnd(scope, () => child.kill('SIGKILL'))
  const calls = callsTo(child)
  let emit: (event: PeerEvent) => void = () => {}
  child.on('message', (reply: Reply) => ('event' in reply ? emit(reply.event) : calls.answered(reply)))
  return {
    start: async (plan, listener) => {
      emit = listener
      await calls.make({ do: 'start', plan })
      return {
        registered: () => calls.make({ do: 'registered' }),
        settle: () => calls.make({ do: 'settle' }),
        reconnect: () => calls.make({ do: 'reconnect' }),
        disturb: (name, isRestless) => calls.make({ do: 'disturb', name, isRestless }),
        end: () => calls.make({ do: 'end' })
      }
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT')
  }
}

function callsTo(child: ChildProcess) {
  const open = new Map<number, { resolve: () => void; reject: (error: Error) => void }>()
  let made = 0
  void once(child, 'exit').then(() => {
    for (const { reject } of open.values()) reject(new Error('the process of peers ended'))
  })
  return {
    make: (command: Unnumbered<Command>) =>
      new Promise<void>((resolve, reject) => {
        const call = ++made
        open.set(call, { resolve, reject })
        child.send({ ...command, call }, (error) => error && reject(error))
      }),
    answered: ({ call, error }: Extract<Reply, { call: number }>) => {
      const waiting = open.get(call)
      open.delete(call)
      if (error === undefined) waiting?.resolve()
      else waiting?.reject(new Error(error))
    }
  }
}
