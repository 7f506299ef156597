import { describe, expect, it } from '@jest/globals'
import { readConfig } from '@annals/platform/config'
import { projections } from '../../src/projections'
import { ProjectorConfig } from '../../src/projector/options'

const needed = {
  KAFKA_BROKERS: 'a:1',
  PROJECTION_DATABASE_URL: 'postgres://u:p@h/d',
  SUBJECT_KEYS_DATABASE_URL: 'postgres://u:p@h/d',
  MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
}
const chosen = (names?: string) =>
  readConfig(ProjectorConfig, { ...needed, ...(names === undefined ? {} : { PROJECTIONS: names }) }).PROJECTIONS.map(
    ({ name }) => name,
  )

describe('the read models of one projector', () => {
  it('are all of them unless told otherwise', () => {
    const all = projections.map(({ name }) => name)
    expect(chosen()).toEqual(all)
    expect(chosen('')).toEqual(all)
  })
  it('are the ones that are named', () => expect(chosen('users, payments')).toEqual(['users', 'payments']))
  it.each(['payment', 'users,', 'users,users', 'users;payments'])('can not be "%s"', (names) =>
    expect(() => chosen(names)).toThrow(/PROJECTIONS: takes some of users, .*each once/),
  )
})
