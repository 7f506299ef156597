import { streamOf, type PasskeyAttestation, type PasskeyCredential, type Principal } from '@annals/contracts'
import { derivedId } from '@annals/platform/ids'
import { stepOf, type Request } from '../../../core/command-context'
import { unborn, type Execute } from '../../../core/execute'
import { Rejected } from '../../../core/rejected'
import { ceremonyDecider, complete } from '../../domain/ceremony'
import { factorDecider } from '../../domain/factor'
import { factorsMax } from '../../domain/factors'
import { passkeyDecider, reservePasskey } from '../../domain/passkey'
import { addressOf } from '../../domain/person'
import type { Account } from '../../domain/user'
import type { Ceremonies } from '../ceremonies'
import { passkeyHash, type Passkeys } from '../passkeys'
import type { Enrolment } from '../enrolment'

export interface PasskeyDeps {
  execute: Execute
  ceremonies: Ceremonies
  passkeys: Passkeys
  enrolment: Enrolment
  tenant: string
}

/** Registers passkeys of the person who is logged in, over four streams: credential id, factor, user, ceremony. */
export function createPasskeyCommands({ execute, ceremonies, passkeys, enrolment, tenant }: PasskeyDeps) {
  async function credentialsOf({ factors: held }: Account): Promise<PasskeyCredential[]> {
    const known: PasskeyCredential[] = []
    for (const { factorId, kind } of held) {
      if (kind !== 'passkey') continue
      const { state } = await execute.load(factorDecider, streamOf.factor(factorId))
      if (state.status === 'created' && state.proof.kind === 'passkey' && state.proof.credential)
        known.push(state.proof.credential)
    }
    return known
  }

  return {
    /** What the authenticator has to be asked. @throws Rejected `too-many-factors`. */
    begin: (request: Request, principal: Principal) =>
      enrolment.run(request, principal, async ({ occurredAt }) => {
        const { account, person } = await enrolment.personOf(principal)
        if (account.factors.length >= factorsMax) throw new Rejected('too-many-factors')
        const { userId, sessionId } = principal
        const { token, ceremonyId, expiresAt } = ceremonies.begin(
          'passkey-registration',
          { userId, sessionId },
          occurredAt,
        )
        const publicKey = await passkeys.registrationOptions({
          challenge: ceremonies.challengeOf(ceremonyId),
          userId,
          name: addressOf(person),
          known: await credentialsOf(account),
        })
        return { ceremonyToken: token, expiresAt, publicKey }
      }),

    /**
     * The ceremony's end comes last: killed before, the same answer again goes on where it was, with the same factor.
     * @throws Rejected `challenge-failed`; `passkey-taken`; `too-many-factors`.
     */
    add: (
      request: Request,
      principal: Principal,
      {
        ceremonyToken,
        credential: answer,
        label,
      }: { ceremonyToken: string; credential: PasskeyAttestation; label: string | null },
    ) =>
      enrolment.run(request, principal, async (context) => {
        const { userId, sessionId } = principal
        const claims = ceremonies.open('passkey-registration', ceremonyToken, context.occurredAt)
        const { ceremonyId } = claims
        if (claims.userId !== userId || claims.sessionId !== sessionId) throw new Rejected('challenge-failed')
        await enrolment.personOf(principal)
        const stream = streamOf.ceremony(ceremonyId)
        const ceremony = await execute.load(ceremonyDecider, stream)
        if (ceremony.state.status === 'completed') throw new Rejected('challenge-failed')
        const checked = await passkeys.verifyRegistration(ceremonies.challengeOf(ceremonyId), answer)
        if (!checked) throw new Rejected('challenge-failed')
        const { credential } = checked
        const factorId = derivedId(ceremonyId, 'factor', credential.credentialId)
        const factor = { factorId, kind: 'passkey' } as const
        await execute(passkeyDecider, {
          stream: streamOf.passkey(passkeyHash(tenant, credential.credentialId)),
          context: stepOf(context, 'reserve', factorId),
          decide: reservePasskey({ userId, factorId }),
          known: unborn(passkeyDecider),
        })
        await enrolment.create(factor, principal, { passkey: credential }, context)
        const added = await enrolment.add(factor, principal, label, context)
        await execute(ceremonyDecider, {
          stream,
          context: stepOf(context, 'complete', ceremonyId),
          decide: complete({ ceremonyId, userId }),
          known: ceremony,
        })
        return added
      }),
  }
}
