/** What the fault run takes for a refusal, and which commands it would run because of it. */
import { describe, expect, it } from '@jest/globals'
import { choicesIn, refusalIn } from '../faults/restores/words.mjs'

const text = [
  'The log is not the one that was published from.',
  'Nothing was published. Choose:',
  '  1. Restore a newer copy of the log, and start again.',
  '  2. Publish the log as it is now into empty topics:',
  '     $ node command-service/dist/relay/main.js --refill annals.users',
  '     $ npm run replay -- --all --accept-log',
  '  3. Begin elsewhere:',
  '     $ node command-service/dist/relay/main.js --resume-after 7',
].join('\n')
const line = (said: object) => JSON.stringify({ level: 'error', ...said })

describe('choices', () => {
  it('are numbered, and their commands stand on lines of their own', () => {
    expect(choicesIn(text).map(({ commands }) => commands)).toEqual([
      [],
      ['node command-service/dist/relay/main.js --refill annals.users', 'npm run replay -- --all --accept-log'],
      ['node command-service/dist/relay/main.js --resume-after 7'],
    ])
  })
  it('may be a single one without a number', () => {
    expect(choicesIn('It waits.\n  $ npm run replay -- users')).toMatchObject([
      { commands: ['npm run replay -- users'] },
    ])
  })
  it('have none in a text without commands', () => {
    expect(
      choicesIn('It waits for $ 5, or for `npm run replay -- users`.').flatMap(({ commands }) => commands),
    ).toEqual([])
  })
})

describe('a refusal', () => {
  it('is an error that holds a command, wherever in the line it stands', () => {
    for (const said of [{ msg: text }, { err: { message: text } }, { level: 'fatal', refusal: text }])
      expect(refusalIn('relay', line(said))).toMatchObject({
        process: 'relay',
        says: 'The log is not the one that was published from.',
        choices: [{ commands: expect.any(Array) }, { commands: expect.any(Array) }],
      })
  })
  it.each([
    ['a warning', line({ level: 'warn', msg: text })],
    ['an error without a command', line({ msg: 'publishing failed, taking over anew' })],
    ['no JSON', 'Error: out of memory'],
    ['JSON, and no line of a log', '"error"'],
    ['half a line', line({ msg: text }).slice(0, 90)],
  ])('is not %s', (_, written) => expect(refusalIn('relay', written)).toBeUndefined())
})
