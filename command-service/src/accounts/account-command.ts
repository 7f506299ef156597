import type { Actor, Principal } from '@annals/contracts'
import { newId } from '@annals/platform/ids'
import { networkOf } from '@annals/platform/client-address'
import type { CommandContext, Request } from '../core/command-context'
import type { InFlight } from '../core/in-flight'

export interface AccountCommandDeps {
  inFlight: InFlight
  now: () => string
}

/** Whoever comes by a link has not said who they are: the link tells about whom it is. */
const byLink: Actor = { type: 'system', id: 'link' }

/** How commands about accounts run: each in its turn, with a context of its own. They take no idempotency keys: asked again they change nothing. */
export function createAccountCommands({ inFlight, now }: AccountCommandDeps) {
  const contextOf = ({ correlationId }: Pick<Request, 'correlationId'>, actor: Actor): CommandContext => {
    const commandId = newId()
    return { commandId, correlationId, causationId: commandId, actor, occurredAt: now() }
  }
  return {
    /** In the name of somebody who is logged in. */
    asOwner<T>(request: Request, { userId }: Principal, work: (context: CommandContext) => Promise<T>): Promise<T> {
      const context = contextOf(request, { type: 'user', id: userId })
      return inFlight.run({ commandId: context.commandId, purpose: 'accounts', principal: userId }, () => work(context))
    },
    /** For whoever shows a link. @param ip address of the client, canonical. */
    byLink<T>(request: Request, ip: string, work: (context: CommandContext) => Promise<T>): Promise<T> {
      const context = contextOf(request, byLink)
      const admission = { commandId: context.commandId, purpose: 'accounts', principal: networkOf(ip) } as const
      return inFlight.run(admission, () => work(context))
    },
  }
}
export type AccountCommands = ReturnType<typeof createAccountCommands>

/**
 * The context of what must happen once, however often it is asked for: its command is named after what it follows from, so that a repeat
 * finds its own events.
 */
export const onceFor = (context: CommandContext, commandId: string): CommandContext => ({
  ...context,
  commandId,
  causationId: commandId,
})
