import { expect, it } from '@jest/globals'
import { startProgram } from '../../processes.mjs'

it('refuses options that make no sense', async () => {
  const refused = (...args: string[]) => startProgram('e2e/faults.mjs', args, {})
  expect(await refused('--break', 'nothing')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--break takes'),
  })
  expect(await refused('--only', 'moon')).toMatchObject({ code: 1, output: expect.stringContaining('--only takes') })
  expect(await refused('--targets', 'moon')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--targets takes'),
  })
  expect(await refused('--kills', '101')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--kills has to be'),
  })
  expect(await refused('--only', 'rebuild', '--break', 'ack')).toMatchObject({
    code: 1,
    output: expect.stringContaining('--break takes live-row'),
  })
  expect(await refused('--events', '10')).toMatchObject({ code: 1, output: expect.stringContaining('--events has') })
  expect(await refused('--steps', 'moon')).toMatchObject({ code: 1, output: expect.stringContaining('--steps takes') })
  expect(await refused('--nothing')).toMatchObject({ code: 1, output: expect.stringContaining('Unknown option') })
  expect(await refused('--commands=x')).toMatchObject({ code: 1, output: expect.stringContaining('--commands has') })
})
