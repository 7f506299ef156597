import type { UserId } from '@annals/contracts'
import type { Answer, Attempts } from '../../accounts/commands/attempts'
import type { Request } from '../../core/command-context'
import type { OpenSession, Tokens } from '../open-session'

export interface VerifyEmail {
  answer: Answer
  ip: string
  userAgent: string | null
}

/** The user's stream as it is now, and a session for who has just registered. */
export interface Verified {
  userId: UserId
  revision: number
  position: bigint
  /** `null`: the answer came before. A link in a mail is no login: it passes by the password and the second factor. */
  session: Tokens | null
}

/** Proves an address. Who completes a registration has shown the password at its beginning, and is logged in. */
export const createVerifyEmail =
  ({ attempts, openSession }: { attempts: Attempts; openSession: OpenSession }) =>
  async (request: Request, { answer, ip, userAgent }: VerifyEmail): Promise<Verified> => {
    const { userId, account, isNew } = await attempts.prove(request, answer, ip)
    const { state, revision, position } = account
    if (!isNew || state.status !== 'active') return { userId, revision, position, session: null }
    const { roles, epoch } = state
    const { correlationId } = request
    const session = await openSession({
      userId,
      roles,
      epoch,
      methods: ['registration'],
      ip,
      userAgent,
      correlationId,
    })
    return { userId, revision, position, session }
  }
