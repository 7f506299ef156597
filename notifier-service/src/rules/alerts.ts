import { defineRule, type Rule } from './rule'

/**
 * What the owner of an account hears of, whoever did it: if it was not them, they have to know. A changed address is told to the former
 * one, by a challenge that undoes it.
 */
export const alertRules: readonly Rule[] = [
  defineRule({
    name: 'password-changed',
    on: 'user.password_changed',
    channel: 'email',
    template: 'password-changed.v1',
    recipient: ({ data }) => data.userId,
    data: ({ at }) => ({ at }),
  }),
  defineRule({
    name: 'phone-changed',
    on: 'user.phone_changed',
    channel: 'email',
    template: 'phone-changed.v1',
    recipient: ({ data }) => data.userId,
    data: ({ at }) => ({ at }),
  }),
  defineRule({
    name: 'factor-added',
    on: 'user.factor_added',
    channel: 'email',
    template: 'factor-added.v1',
    recipient: ({ data }) => data.userId,
    data: ({ data, at }) => ({ kind: data.kind, at }),
  }),
  defineRule({
    name: 'factor-removed',
    on: 'user.factor_removed',
    channel: 'email',
    template: 'factor-removed.v1',
    recipient: ({ data }) => data.userId,
    data: ({ data, at }) => ({ kind: data.kind, at }),
  }),
  defineRule({
    name: 'account-disabled',
    on: 'user.disabled',
    // Of an erasure its own mail tells.
    when: ({ data }) => data.reason === 'administrator',
    channel: 'email',
    template: 'account-disabled.v1',
    recipient: ({ data }) => data.userId,
    data: ({ at }) => ({ at }),
  }),
  defineRule({
    name: 'erasure-scheduled',
    on: 'user.erasure_scheduled',
    channel: 'email',
    template: 'erasure-scheduled.v1',
    recipient: ({ data }) => data.userId,
    data: ({ data }) => ({ eraseAt: data.eraseAt }),
  }),
]
