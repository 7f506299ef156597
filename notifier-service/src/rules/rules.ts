import { formatMoney, type AnnalsEvent } from '@annals/contracts'
import type { Intent } from '../vocabulary'
import { alertRules } from './alerts'
import { challengeRules } from './challenges'
import { defineRule, type Rule } from './rule'

/** Every message that Annals sends by itself. */
export const rules: readonly Rule[] = [
  ...challengeRules,
  ...alertRules,
  defineRule({
    name: 'welcome',
    on: 'user.registered',
    channel: 'email',
    template: 'welcome.v2',
    recipient: ({ data }) => data.userId,
    data: () => ({}),
  }),
  defineRule({
    name: 'payment-confirmation',
    on: 'payment.processed',
    channel: 'email',
    template: 'payment-confirmation.v2',
    recipient: ({ data }) => data.userId,
    data: ({ data, at }) => ({
      paymentId: data.paymentId,
      amount: formatMoney(data.amount),
      currency: data.amount.currency,
      at,
    }),
  }),
  defineRule({
    name: 'payment-failed',
    on: 'payment.failed',
    channel: 'email',
    template: 'payment-failed.v2',
    recipient: ({ data }) => data.userId,
    data: ({ data, at }) => ({
      paymentId: data.paymentId,
      amount: formatMoney(data.amount),
      currency: data.amount.currency,
      code: data.code,
      at,
    }),
  }),
]

/** @returns what the event asks to be sent; the same for the same event, always. */
export const intentsOf = (rules: readonly Rule[], event: AnnalsEvent): Intent[] =>
  rules
    .filter(({ on, when }) => on === event.type && (when?.(event) ?? true))
    .map((rule) => ({
      rule: rule.name,
      recipient: rule.recipient(event),
      channel: rule.channel,
      template: rule.template,
      data: rule.data(event),
    }))
