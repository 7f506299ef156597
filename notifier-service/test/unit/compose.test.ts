import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { compose } from '../../src/delivery/compose'
import type { Claim } from '../../src/deliveries/claims'
import { loadTemplates } from '../../src/templates/templates'
import { people, registered } from '../support/facts'

const templates = loadTemplates(path.join(__dirname, '../../templates'))
const payment = { paymentId: 'p', amount: '1.00', currency: 'EUR', at: '2026-11-23T10:00:00Z', code: 'card-declined' }
const letter = { link: 'https://annals.example/', minutes: '15', kind: 'totp', eraseAt: '2026-12-23T10:00:00Z' }

describe('a message', () => {
  it.each(templates.names)('of %s holds nothing that whoever registered its address has written', async (template) => {
    const personal = { email: 'stranger@people.example', name: 'Call +1 800 555 0100, account locked' }
    const claim: Claim = {
      id: 'id',
      attempt: 1,
      doubt: false,
      rule: 'welcome',
      channel: 'email',
      identity: 'identity',
      template,
      data: { ...payment, ...letter },
      correlationId: 'test',
      traceparent: null,
      eventType: 'user.registered',
      recipient: { event: registered(people(), personal).event, address: null, phone: null, profile: null },
      now: Date.parse('2026-11-23T10:00:00Z'),
    }
    const keys = { openAll: async () => [personal], lookUp: async () => undefined }
    const [composed] = await compose([claim], keys, { templates, publicUrl: 'https://annals.example' })
    expect(composed).toMatchObject({ kind: 'message', message: { to: personal.email } })
    expect(JSON.stringify(composed)).not.toMatch(/Call|800|locked/)
  })
})
