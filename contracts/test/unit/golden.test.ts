import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { decodeEvent, eventDefinitions, type EventType } from '@annals/contracts'

const directory = path.join(__dirname, '../../golden')
const files = readdirSync(directory).filter((name) => name.endsWith('.json'))
const read = (name: string) => {
  const { opened, openedSecrets, ...recorded } = JSON.parse(readFileSync(path.join(directory, name), 'utf8'))
  return { recorded: { ...recorded, position: 1n }, opened, openedSecrets }
}

describe('the golden corpus', () => {
  it.each(files)('decodes %s as today’s version', (name) => {
    const { recorded, opened, openedSecrets } = read(name)
    expect(decodeEvent(recorded, opened, openedSecrets)).toMatchObject({
      kind: 'event',
      event: { data: { ...opened, ...openedSecrets } },
    })
  })

  it.each(files)('decodes %s after its person was erased', (name) => {
    const { recorded, opened } = read(name)
    const result = decodeEvent(recorded, opened && null)
    expect(result).toMatchObject({ kind: 'event' })
    const { data } = (result as { event: { data: Record<string, unknown> } }).event
    const { personal, secrets } = eventDefinitions[recorded.type as EventType]
    for (const field of [...personal, ...secrets]) expect(data[field]).toBeNull()
  })

  it('holds an example of every version of every type', () => {
    const wanted = Object.values(eventDefinitions).flatMap(({ type, version }) =>
      Array.from({ length: version }, (_, i) => `${type}.v${i + 1}.json`),
    )
    expect(files.toSorted()).toEqual(wanted.toSorted())
  })

  it('reads the first version of a payment as US dollars', () => {
    const { recorded } = read('payment.created.v1.json')
    expect(decodeEvent(recorded)).toMatchObject({
      event: { data: { amount: { minor: 1250, currency: 'USD' }, description: null } },
    })
  })
})
