import { defineProjection } from '../../engine/definition/projection'
import { begun } from '../begun'

/** For searches: a database's own `lower` knows the capitals of its locale alone, in some only those of ASCII. */
const lowered = (name: string | null): string | null => name?.toLowerCase() ?? null

/** Who is registered. What was personal about somebody who was erased is empty. */
export const users = defineProjection({
  name: 'users',
  version: 2,
  table: 'account',
  grain: 'stream',
  keyColumn: 'user_id',
  topics: ['annals.users'],
  readsPersonal: true,
  columns: {
    state: 'text',
    email: 'text?',
    email_proved_at: 'timestamptz?',
    phone: 'text?',
    name: 'text?',
    name_lower: 'text?',
    locale: 'text',
    time_zone: 'text?',
    roles: 'text[]',
    registered_at: 'timestamptz',
    erase_at: 'timestamptz?',
    epoch: 'integer',
    except_session_id: 'uuid?',
  },
  indexes: {
    account_by_time: '(registered_at desc, user_id desc)',
    account_by_email: '(email)',
    account_by_name: '(name_lower text_pattern_ops)',
    account_by_role: 'using gin (roles)',
    account_by_state: '(state, registered_at desc, user_id desc)',
  },
  key: (event) => event.data.userId,
  on: {
    'user.registered': (_, { data, at }) => ({
      state: 'active',
      email: data.email,
      email_proved_at: data.emailProved ? at : null,
      phone: null,
      name: data.name,
      name_lower: lowered(data.name),
      locale: data.locale,
      time_zone: null,
      roles: data.roles,
      registered_at: at,
      erase_at: null,
      epoch: 1,
      except_session_id: null,
    }),
    'user.email_proved': (row, { at }) => ({ ...begun(row), email_proved_at: at }),
    'user.profile_changed': (row, { data: { name, locale, timeZone } }) => ({
      ...begun(row),
      name,
      name_lower: lowered(name),
      locale,
      time_zone: timeZone,
    }),
    'user.email_changed': (row, { data, at }) => ({ ...begun(row), email: data.email, email_proved_at: at }),
    'user.phone_changed': (row, { data }) => ({ ...begun(row), phone: data.phone }),
    'user.password_changed': (row, { data: { epoch, exceptSessionId } }) => ({
      ...begun(row),
      epoch,
      except_session_id: exceptSessionId,
    }),
    'user.sessions_ended': (row, { data: { epoch, exceptSessionId } }) => ({
      ...begun(row),
      epoch,
      except_session_id: exceptSessionId,
    }),
    'user.disabled': (row, { data }) => ({
      ...begun(row),
      state: 'disabled',
      epoch: data.epoch,
      except_session_id: null,
    }),
    'user.enabled': (row) => ({ ...begun(row), state: 'active' }),
    'user.role_granted': (row, { data }) => {
      const { roles, ...rest } = begun(row)
      return { ...rest, roles: roles.includes(data.role) ? roles : [...roles, data.role] }
    },
    'user.role_revoked': (row, { data }) => {
      const { roles, ...rest } = begun(row)
      return { ...rest, roles: roles.filter((role) => role !== data.role) }
    },
    'user.erasure_scheduled': (row, { data }) => ({ ...begun(row), erase_at: data.eraseAt }),
    'user.erasure_cancelled': (row) => ({ ...begun(row), erase_at: null }),
    'user.erased': (row, { data }) => ({
      ...begun(row),
      state: 'erased',
      epoch: data.epoch,
      except_session_id: null,
      email: null,
      phone: null,
      name: null,
      name_lower: null,
      time_zone: null,
      roles: [],
      erase_at: null,
    }),
  },
})
