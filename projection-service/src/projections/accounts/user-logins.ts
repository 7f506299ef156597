import { defineProjection } from '../../engine/definition/projection'

/**
 * How often and when last a person logged in. Apart from `users`: logins come from session streams, on another topic and
 * many partitions. A reader adds the shards up and takes the latest time.
 */
export const userLogins = defineProjection({
  name: 'user_logins',
  version: 1,
  table: 'user_login',
  grain: 'shard',
  keyColumn: 'user_id',
  topics: ['annals.sessions'],
  columns: { login_count: 'integer', last_login_at: 'timestamptz' },
  key: (event) => event.data.userId,
  on: {
    'user.login': (row, { at }) => ({
      login_count: (row?.login_count ?? 0) + 1,
      // Clocks of two command services may differ: the latest time wins, not the last to arrive.
      last_login_at: row && Date.parse(row.last_login_at) > Date.parse(at) ? row.last_login_at : at,
    }),
  },
})
