import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { EventLog } from '../../src/log/event-log'
import type { ProposedEvent } from '../../src/log/event-log'
import { GroupCommit } from '../../src/log/group-commit'
import type { AppendRequest } from '../../src/log/stream-writes'

let directory: string
let log: EventLog
let commits: GroupCommit
let faults: unknown[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'annals-eventstore-'))
  log = new EventLog(directory)
  faults = []
  commits = new GroupCommit(log, (fault) => faults.push(fault))
})
afterEach(async () => {
  log.close()
  await rm(directory, { recursive: true })
})

const event = (id: string = randomUUID()): ProposedEvent => ({
  id,
  type: 'tested',
  contentType: 'application/json',
  metadata: new Uint8Array(),
  data: Buffer.from('{}'),
})

const append = (stream: string, events = [event()]): AppendRequest => ({
  kind: 'append',
  stream,
  expected: 'any',
  events,
})

const submit = (request: AppendRequest, expired = false) => commits.submit(request, () => expired)

const revisions = (stream: string): number[] => {
  const state = log.find(stream)
  return state ? log.readStreamForwards(state.id, 0, 0, 1_000).events.map(({ revision }) => revision) : []
}

describe('writes that wait together', () => {
  it('share one commit, each seeing those before it', async () => {
    const groups: number[] = []
    commits.on('committed', (streams) => groups.push(streams.size))
    const outcomes = await Promise.all(['one', 'other', 'one', 'one'].map((stream) => submit(append(stream))))
    expect(outcomes).toMatchObject([0, 0, 1, 2].map((revision) => ({ kind: 'written', revision })))
    expect(groups).toEqual([2])
  })

  it('are all undone when one of them cannot be written, and can be tried again', async () => {
    const first = append('kept')
    // No UUID: requests with such an id are refused before, so only a fault of the server could bring it here.
    const broken = append('broken', [event('no-uuid')])
    const last = append('kept')
    const outcomes = await Promise.all([first, broken, last].map((request) => submit(request)))
    expect(outcomes).toEqual(outcomes.map(() => ({ kind: 'unavailable', reason: 'the log cannot be written' })))
    expect(faults).toHaveLength(1)
    expect([revisions('kept'), log.find('broken'), log.isEmpty]).toEqual([[], undefined, true])
    expect(await submit(first)).toEqual({ kind: 'written', revision: 0, position: 64 })
    expect(await submit(last)).toMatchObject({ kind: 'written', revision: 1 })
    expect(revisions('kept')).toEqual([0, 1])
  })

  it('leave out who has given up', async () => {
    const outcomes = await Promise.all([submit(append('late'), true), submit(append('late'))])
    expect(outcomes).toMatchObject([{ kind: 'expired' }, { kind: 'written', revision: 0 }])
    expect(revisions('late')).toEqual([0])
  })

  it('are more than one commit when they are many, and stay in order', async () => {
    let groups = 0
    commits.on('committed', () => groups++)
    const outcomes = await Promise.all(Array.from({ length: 1_300 }, () => submit(append('many'))))
    expect(outcomes).toMatchObject(outcomes.map((_, revision) => ({ kind: 'written', revision })))
    expect(groups).toBe(3)
  })

  it('are refused beyond what may wait', async () => {
    const outcomes = Promise.all(Array.from({ length: 50_001 }, () => submit(append('crowd'), true)))
    expect((await outcomes).at(-1)).toEqual({ kind: 'unavailable', reason: 'server is too busy' })
  })
})

describe('closing', () => {
  it('commits what waits and refuses what comes', async () => {
    const waiting = submit(append('closing'))
    commits.close()
    expect(await submit(append('closing'))).toEqual({ kind: 'unavailable', reason: 'server is shutting down' })
    expect(await waiting).toMatchObject({ kind: 'written', revision: 0 })
    expect(revisions('closing')).toEqual([0])
  })
})

describe('a log that is opened again', () => {
  it('goes on after its last position and revision', async () => {
    await submit(append('again', [event(), event()]))
    const { end } = log
    log.close()
    log = new EventLog(directory)
    expect(log.end).toBe(end)
    commits = new GroupCommit(log, (fault) => faults.push(fault))
    expect(await submit(append('again'))).toEqual({ kind: 'written', revision: 2, position: end })
  })

  it('is refused while it is open', () => expect(() => new EventLog(directory)).toThrow('is in use by another server'))
})
