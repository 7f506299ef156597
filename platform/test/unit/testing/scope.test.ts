import { describe, expect, it } from '@jest/globals'
import { TestScope } from '@annals/platform/testing'

describe('a scope of tests', () => {
  it('closes in reverse order, each thing once', async () => {
    const scope = new TestScope()
    const closed: string[] = []
    scope.add('first', (it) => closed.push(it))
    scope.onEnd(() => closed.push('second'))
    await scope.close()
    await scope.close()
    expect(closed).toEqual(['second', 'first'])
  })

  it('closes the rest when one thing can not be closed, and fails with what it was', async () => {
    const scope = new TestScope()
    const closed: string[] = []
    scope.onEnd(() => closed.push('first'))
    scope.onEnd(() => Promise.reject(new Error('it is stuck')), 'a door')
    await expect(scope.close()).rejects.toThrow('a door could not be closed: it is stuck')
    expect(closed).toEqual(['first'])
  })

  it('closes at once what comes when the test is over, and takes things again in the next test', async () => {
    const scope = new TestScope()
    await scope.close()
    const closed: string[] = []
    expect(() => scope.add('late', (it) => closed.push(it))).toThrow('the test is over')
    expect(closed).toEqual(['late'])
    scope.reopen()
    scope.add('early', (it) => closed.push(it))
    await scope.close()
    expect(closed).toEqual(['late', 'early'])
  })

  it('kills a process that still runs, frozen or not', async () => {
    const scope = new TestScope()
    const lines: string[] = []
    const program = ['-e', 'console.log("up"); setInterval(() => {}, 1000)']
    const one = scope.process(program, { onLine: (line) => lines.push(line) })
    const other = scope.process(program)
    other.signal('SIGSTOP')
    await scope.close()
    expect([one.hasEnded(), other.hasEnded()]).toEqual([true, true])
    await expect(one.end('SIGTERM')).rejects.toThrow(/ended by itself: SIGKILL/)
  })
})
