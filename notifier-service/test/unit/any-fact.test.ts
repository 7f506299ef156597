/** Whatever the log accepts, the notifier can say: generated events go through every rule and every template, in every language. */
import path from 'node:path'
import { expect, it } from '@jest/globals'
import * as fc from 'fast-check'
import { z } from 'zod'
import {
  encodeEvent,
  decodeEvent,
  eventDefinitions,
  UnfitEvent,
  type AnnalsEvent,
  type EventType,
  type NewEvent,
} from '@annals/contracts'
import { arbitraryOf, hostileTexts } from '@annals/platform/testing'
import { wordsOf } from '../../src/delivery/letter'
import { intentsOf, rules } from '../../src/rules/rules'
import { loadTemplates } from '../../src/templates/templates'

const templates = loadTemplates(path.join(__dirname, '../../templates'))
const now = Date.parse('2026-11-23T10:00:00Z')
const locales = ['en', 'de', 'es', 'de-AT', 'fr', 'ar-EG', 'xx', 'xxx-XX']
const definitions = eventDefinitions as unknown as Record<EventType, { written: z.ZodType }>
/** All but tab and line break; a subject has not even those. */
const controls = /[^\P{Cc}\t\n]/u

const written = (type: EventType) =>
  arbitraryOf(fc, z.toJSONSchema(definitions[type].written, { io: 'output', unrepresentable: 'any' }))
const occurredAt = arbitraryOf(fc, { type: 'string', format: 'date-time' })
/** Names that the edge refuses, but old events hold. */
const anyName = fc.option(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...Object.values(hostileTexts))))

/** As a reader gets it from the log, or `undefined` when the door of the log refuses it. */
function recorded(type: EventType, data: unknown, at: unknown): AnnalsEvent | undefined {
  const envelope = {
    tenant: 'main',
    commandId: 'c',
    correlationId: 'r',
    causationId: 'c',
    actor: { type: 'system' as const, id: 'test' },
    occurredAt: at as string,
    source: 'test',
  }
  let personal: Record<string, unknown> | undefined
  try {
    const event = encodeEvent({ type, data } as unknown as NewEvent, 'id', envelope, (_, sealed) => {
      personal = sealed
      return 'sealed'
    })
    const result = decodeEvent({ ...event, stream: 's', revision: 0, position: 0n }, personal)
    if (result.kind !== 'event') throw new Error(`not readable: ${JSON.stringify(result)}`)
    return result.event
  } catch (error) {
    if (error instanceof UnfitEvent) return undefined
    throw error
  }
}

it.each(rules.map(({ on }) => on).filter((type, i, all) => all.indexOf(type) === i))(
  'every %s that can be written is told, in words without control characters',
  (type) => {
    let told = 0
    fc.assert(
      fc.property(written(type), occurredAt, anyName, fc.constantFrom(...locales), (data, at, name, locale) => {
        const event = recorded(type, data, at)
        if (!event) return
        for (const intent of intentsOf(rules, event)) {
          // From the database, which keeps JSON.
          const kept = JSON.parse(JSON.stringify(intent.data)) as Record<string, string>
          const words =
            event.type === 'challenge.issued' ? { ...kept, ...wordsOf(event, 'https://annals.example', now) } : kept
          const { subject, text, html } = templates.render(intent.template, locale, { name, data: words })
          expect(subject).not.toMatch(/\p{Cc}/u)
          // A text message has none.
          expect(subject === '').toBe(intent.channel === 'sms')
          for (const part of [text, html]) {
            expect(part).not.toMatch(controls)
            expect(part.isWellFormed()).toBe(true)
          }
          told++
        }
      }),
      { numRuns: 200, seed: 12 },
    )
    expect(told).toBeGreaterThan(10)
  },
)
