import { describe, expect, it } from '@jest/globals'
import { decodeEvent, encodeEvent, type NewEvent } from '@annals/contracts'
import { history } from '../../log/history.mjs'

interface Write {
  stream: string
  revision: number
  events: NewEvent[]
  actor: string
  at: string
}
const writes = (events: number, seed?: number) => [...history({ events, seed })] as unknown as Write[]

describe('history', () => {
  it('is exactly as long as asked, even when an append has to be cut', () => {
    for (const events of [1, 2, 997, 5_000])
      expect(writes(events).reduce((total, write) => total + write.events.length, 0)).toBe(events)
  })

  it('is the same each time, and another with another seed', () => {
    expect(writes(2_000)).toEqual(writes(2_000))
    expect(writes(2_000, 7)).not.toEqual(writes(2_000))
  })

  it('appends to every stream at its next revision, and in the order of time', () => {
    const next = new Map<string, number>()
    let before = ''
    const wrong: string[] = []
    for (const { stream, revision, events, at } of writes(5_000)) {
      if (revision !== (next.get(stream) ?? 0) || at < before) wrong.push(`${stream}@${revision}`)
      next.set(stream, revision + events.length)
      before = at
    }
    expect(wrong).toEqual([])
  })

  it('consists of payments by three fifths', () => {
    const all = writes(20_000).flatMap(({ stream, events }) => events.map(() => stream.slice(0, stream.indexOf('-'))))
    const share = all.filter((category) => category === 'payment').length / all.length
    expect(share).toBeGreaterThan(0.58)
    expect(share).toBeLessThan(0.62)
  })

  it('leaves events of one stream apart, as in a busy system', () => {
    const seen = new Map<string, number>()
    const gaps = writes(6_000).flatMap(({ stream }, at) => {
      const before = seen.get(stream)
      seen.set(stream, at)
      return before === undefined ? [] : [at - before]
    })
    expect(gaps.length).toBeGreaterThan(300)
    expect(Math.min(...gaps)).toBeGreaterThan(20)
  })

  it('decodes, sealed parts included', () => {
    const id = '6f5c3a52-0d3e-5c0e-9a4e-8d1c2b7f4a10'
    const kinds = new Set<string>()
    for (const { stream, revision, events, actor, at } of writes(1_500)) {
      for (const [i, event] of events.entries()) {
        let personal: Record<string, unknown> | undefined
        let secrets: Record<string, unknown> | undefined
        const envelope = {
          tenant: 'main',
          commandId: id,
          correlationId: id,
          causationId: id,
          actor: { type: 'user' as const, id: actor },
          occurredAt: at,
          source: 'bench',
        }
        const seal = (_part: unknown, hidden: Record<string, unknown>) => {
          personal = hidden
          return 'AQ'
        }
        const sealSecret = (_part: unknown, hidden: Record<string, unknown>) => {
          secrets = hidden
          return { key: id, sealed: 'AQ' }
        }
        const encoded = encodeEvent(event, id, envelope, seal, sealSecret)
        const result = decodeEvent({ ...encoded, stream, revision: revision + i, position: 0n }, personal, secrets)
        expect(result).toMatchObject({ kind: 'event', event: { data: event.data } })
        kinds.add(event.type)
      }
    }
    expect(kinds).toEqual(
      new Set([
        'email.reserved',
        'credential.set',
        'user.registered',
        'user.login',
        'session.refreshed',
        'session.ended',
        'payment.created',
        'payment.process_started',
        'payment.processed',
        'payment.failed',
      ]),
    )
  })
})
