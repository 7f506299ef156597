import { describe, expect, it } from '@jest/globals'
import { createLogger } from '@annals/platform/log'
import { Scope } from '@annals/platform/process'

const silent = createLogger('test', 'silent')

describe('a scope', () => {
  it('closes in reverse order, one after the other, and each once', async () => {
    const closed: string[] = []
    const scope = new Scope(silent)
    const closing = (name: string) => async () => {
      closed.push(`${name} begins`)
      await new Promise((resolve) => setImmediate(resolve))
      closed.push(`${name} ends`)
    }
    scope.add('first', 1, closing('first'))
    scope.add('second', 2, closing('second'))
    await Promise.all([scope.close(), scope.close()])
    expect(closed).toEqual(['second begins', 'second ends', 'first begins', 'first ends'])
  })

  it('closes the rest when one fails, and never throws', async () => {
    const closed: string[] = []
    const scope = new Scope(silent)
    scope.add('first', 1, () => closed.push('first'))
    scope.add('second', 2, () => {
      throw new Error('stuck')
    })
    scope.add('third', 3, () => Promise.reject(new Error('stuck too')))
    await scope.close()
    expect(closed).toEqual(['first'])
  })

  it('hands on what it keeps', () => {
    const resource = { open: true }
    expect(new Scope(silent).add('it', resource, () => undefined)).toBe(resource)
  })
})
