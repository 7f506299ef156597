import { defineProjection } from '../../engine/definition/projection'
import { begun } from '../begun'

/** Who is registered. */
export const users = defineProjection({
  name: 'users',
  version: 1,
  table: 'account',
  grain: 'stream',
  keyColumn: 'user_id',
  topics: ['annals.users'],
  readsPersonal: true,
  columns: {
    email: 'text?',
    name: 'text?',
    locale: 'text',
    roles: 'text[]',
    registered_at: 'timestamptz',
  },
  indexes: {
    account_by_time: '(registered_at desc, user_id desc)',
    account_by_email: '(email)',
  },
  key: (event) => event.data.userId,
  on: {
    'user.registered': (_, { data, at }) => ({
      email: data.email,
      name: data.name,
      locale: data.locale,
      roles: data.roles,
      registered_at: at,
    }),
    'user.role_granted': (row, { data }) => {
      const { roles, ...rest } = begun(row)
      return { ...rest, roles: roles.includes(data.role) ? roles : [...roles, data.role] }
    },
  },
})
