import { z } from 'zod'
import {
  ActivityPage,
  has,
  ListActivityQuery,
  ListUsersQuery,
  streamOf,
  UserId,
  UserPage,
  UserResponse,
  type AccountState,
  type Role,
  type UserView,
} from '@annals/contracts'
import { HttpProblem } from '@annals/platform/api'
import { activity, userLogins, users } from '../../projections'
import { decodeCursor, encodeCursor, pageOf } from '../cursor'
import { freshRead } from '../fresh-read'
import { parkedProblem } from '../parked'
import type { ReadModels } from '../read-models'
import { defineQuery } from '../route'

interface UserRow {
  user_id: string
  email: string | null
  name: string | null
  locale: string
  state: AccountState
  email_proved_at: string | null
  phone: string | null
  time_zone: string | null
  erase_at: string | null
  roles: Role[]
  registered_at: string
  last_login_at: string | null
  login_count: bigint | null
}

/** Accounts, each with its logins added up over the shards. */
const userSql = ({ tables }: ReadModels) => `
  select u.user_id, u.email, u.name, u.locale, u.state, u.email_proved_at, u.phone, u.time_zone,
    u.erase_at, u.roles, u.registered_at, l.last_login_at, l.login_count
  from ${tables(users).rows} u
  left join lateral (
    select max(last_login_at) as last_login_at, sum(login_count) as login_count
    from ${tables(userLogins).rows} where user_id = u.user_id
  ) l on true`

const userView = (row: UserRow): z.infer<typeof UserView> => ({
  userId: row.user_id,
  state: row.state,
  email: row.email,
  emailProved: row.email_proved_at !== null,
  phone: row.phone,
  name: row.name,
  locale: row.locale,
  timeZone: row.time_zone,
  roles: row.roles,
  registeredAt: row.registered_at,
  eraseAt: row.erase_at,
  lastLoginAt: row.last_login_at,
  loginCount: Number(row.login_count ?? 0n),
})

async function oneUser(models: ReadModels, userId: string) {
  const { rows, freshness } = await freshRead<UserRow>(models, {
    projection: users,
    stream: streamOf.user(userId),
    sql: `${userSql(models)} where u.user_id = $1`,
    parameters: [userId],
  })
  if (!rows[0]) {
    const parked = await parkedProblem(models, users, streamOf.user(userId))
    throw parked ?? new HttpProblem('user-not-found')
  }
  return { ...userView(rows[0]), freshness }
}

const getMe = defineQuery({
  operationId: 'getMe',
  path: '/api/v1/users/me',
  aliases: [{ method: 'GET', path: '/api/v1/auth/profile' }],
  summary: 'The account of who asks',
  permission: 'own',
  tag: 'users',
  response: UserResponse,
  problems: ['user-not-found'],
  reads: [users, userLogins],
  answer: ({ principal }, { models }) => oneUser(models, principal.userId),
})

const getUser = defineQuery({
  operationId: 'getUser',
  path: '/api/v1/users/:userId',
  summary: 'An account: one’s own, or any for an administrator',
  permission: 'own-or-users.read',
  tag: 'users',
  params: z.object({ userId: UserId }),
  response: UserResponse,
  problems: ['user-not-found'],
  reads: [users, userLogins],
  async answer({ principal, params: { userId } }, { models }) {
    // Not 403: it would tell that the account exists.
    if (userId !== principal.userId && !has(principal, 'users.read')) throw new HttpProblem('user-not-found')
    return oneUser(models, userId)
  },
})

const listUsers = defineQuery({
  operationId: 'listUsers',
  path: '/api/v1/users',
  summary: 'Accounts, newest first: all, or those of an address, a beginning of a name, a role or a state',
  permission: 'users.read',
  tag: 'users',
  query: ListUsersQuery,
  response: UserPage,
  problems: ['invalid-cursor'],
  reads: [users, userLogins],
  async answer({ query: { limit, cursor, ...filters } }, { models }) {
    const { email, name, role, state } = filters
    // Only what narrows the list stands in the statement, so that the planner meets plain conditions.
    const parameters: unknown[] = []
    const conditions: string[] = []
    const only = (condition: (place: string) => string, value: unknown) => {
      if (value === undefined) return
      parameters.push(value)
      conditions.push(condition(`$${parameters.length}`))
    }
    only((place) => `u.email = ${place}`, email)
    only((place) => `u.name_lower like ${place} || '%'`, name?.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`))
    only((place) => `u.roles @> array[${place}::text]`, role)
    only((place) => `u.state = ${place}`, state)
    const after = decodeCursor('users', filters, cursor)
    if (after) {
      parameters.push(after.at, after.id)
      const last = parameters.length
      conditions.push(`(u.registered_at, u.user_id) < ($${last - 1}::timestamptz, $${last}::uuid)`)
    }
    const { rows, freshness } = await freshRead<UserRow>(models, {
      projection: users,
      sql: `${userSql(models)} ${conditions.length ? `where ${conditions.join(' and ')}` : ''}
        order by u.registered_at desc, u.user_id desc limit ${limit + 1}`,
      parameters,
      orderBy: 'registered_at desc, user_id desc',
    })
    const cursorOf = (row: UserRow) => encodeCursor('users', filters, { at: row.registered_at, id: row.user_id })
    return { ...pageOf(rows, limit, userView, cursorOf), freshness }
  },
})

interface ActivityRow {
  event_id: string
  type: string
  at: string
  about: string
}

const listMyActivity = defineQuery({
  operationId: 'listMyActivity',
  path: '/api/v1/users/me/activity',
  summary: 'What was done in the name of who asks, newest first',
  permission: 'own',
  tag: 'users',
  query: ListActivityQuery,
  response: ActivityPage,
  problems: ['invalid-cursor'],
  reads: [activity],
  async answer({ principal: { userId }, query: { limit, cursor } }, { models }) {
    const after = decodeCursor('activity', { userId }, cursor)
    const { rows, freshness } = await freshRead<ActivityRow>(models, {
      projection: activity,
      sql: `select event_id, type, at, about from ${models.tables(activity).rows}
        where user_id = $1 and ($2::timestamptz is null or (at, event_id) < ($2, $3::uuid))
        order by at desc, event_id desc limit ${limit + 1}`,
      parameters: [userId, after?.at ?? null, after?.id ?? null],
      orderBy: 'at desc, event_id desc',
    })
    const view = ({ event_id, type, at, about }: ActivityRow) => ({ id: event_id, type, at, about })
    const cursorOf = (row: ActivityRow) => encodeCursor('activity', { userId }, { at: row.at, id: row.event_id })
    return { ...pageOf(rows, limit, view, cursorOf), freshness }
  },
})

export const userRoutes = [getMe, listMyActivity, listUsers, getUser]
