import { describe, expect, it } from '@jest/globals'
import { requireFresh } from '@annals/platform/access-tokens'

describe('fresh authentication', () => {
  const now = 1_000_000
  const assertFresh = requireFresh({ maxAgeSeconds: 300, stepUp: '/step-up' }, () => now * 1000)
  it('is one of the last minutes', () => {
    expect(() => assertFresh({ authenticatedAt: now })).not.toThrow()
    expect(() => assertFresh({ authenticatedAt: now - 300 })).not.toThrow()
  })
  it('names the way to a newer one where it is older', () => {
    const refused = expect(() => assertFresh({ authenticatedAt: now - 301 }))
    refused.toThrow(
      expect.objectContaining({
        code: 'authentication-too-old',
        facts: expect.objectContaining({
          members: { stepUp: '/step-up', maxAgeSeconds: 300 },
          headers: { 'www-authenticate': 'Bearer error="insufficient_user_authentication", max_age="300"' },
        }),
      }),
    )
  })
})
