import type { ChallengeChannel, ChallengePurpose } from '@annals/contracts'
import { defineRule, type Rule } from './rule'

/**
 * By which channels a challenge is put to somebody, and in which words. The message is for the challenge itself: its event names the
 * address, and holds what is to be answered, sealed until it is sent.
 */
const templates: Record<ChallengePurpose, Partial<Record<ChallengeChannel, string>>> = {
  'verify-email': { email: 'verify-email.v1' },
  'address-taken': { email: 'address-taken.v1' },
  invite: { email: 'invite.v1' },
  'password-reset': { email: 'password-reset.v1' },
  'change-email': { email: 'change-email.v1' },
  'email-changed': { email: 'email-changed.v1' },
  'change-phone': { sms: 'change-phone-sms.v1' },
  'second-factor': { email: 'second-factor.v1', sms: 'second-factor-sms.v1' },
  goodbye: { email: 'goodbye.v1' },
  'step-up': { email: 'step-up.v1', sms: 'step-up-sms.v1' },
}

export const challengeRules: readonly Rule[] = Object.entries(templates).flatMap(([purpose, byChannel]) =>
  (Object.entries(byChannel) as [ChallengeChannel, string][]).map(([channel, template]) =>
    defineRule({
      name: `${purpose}-${channel}`,
      on: 'challenge.issued',
      when: ({ data }) => data.purpose === purpose && data.channel === channel,
      channel,
      template,
      recipient: ({ data }) => data.challengeId,
      data: () => ({}),
    }),
  ),
)
