import { describe, expect, it } from '@jest/globals'
import { decisionList, proseFaults, withList, wrapped } from '../../../checks/prose.mjs'

const long = 'word '.repeat(30).trim()

describe('the check of prose', () => {
  it('refuses a line of more than 120 characters, and names it', () => {
    expect(proseFaults('a.md', `Short.\n\n${long}\n`)).toEqual(['a.md:3 has 149 characters, at most 120 are allowed.'])
  })

  it('accepts long code, rows of tables, and a link that can not be broken', () => {
    const url = `<https://example.org/${'a'.repeat(120)}>`
    const link = `[a text of several words](https://example.org/${'a'.repeat(120)})`
    expect(proseFaults('a.md', `\`\`\`\n${long}\n\`\`\`\n\n| ${long} | b |\n\n${url}\n\n- x\n\n${link}\n`)).toEqual([])
  })

  it('refuses a cell of more than 300 characters', () => {
    expect(proseFaults('a.md', `| a | ${'b'.repeat(301)} |`)).toEqual([
      'a.md:1 has a cell of 301 characters, at most 300 are allowed: make it a list.',
    ])
  })

  it('wraps what it refuses, and leaves everything else as it is', () => {
    const item = `- \`npm run something -- --with spaces\` ${long}`
    const text = `# Title\n\n${long}\nand more.\n\n${item}\n  - nested ${long}\n\n\`\`\`\n${long}\n\`\`\`\n\nA short line\nand another.\n`
    const result = wrapped(text)
    expect(proseFaults('a.md', result)).toEqual([])
    expect(result.replaceAll(/\s+/g, ' ')).toBe(text.replaceAll(/\s+/g, ' '))
    expect(result).toContain('A short line\nand another.')
    expect(result).toMatch(/^ {2}\S/m)
    expect(result).toMatch(/^ {4}\S/m)
    expect(wrapped(result)).toBe(result)
  })

  it('begins no line with a mark that would make it an item of a list', () => {
    const text = `${'word '.repeat(23)}abcd - ${long}`
    expect(wrapped(text)).not.toMatch(/^- /m)
  })
})

describe('the list of decisions', () => {
  const pages = {
    '0002-b.md': '# 0002 B is done\n\n*Supersedes [0001](0001-a.md).*\n\nText.\n',
    '0001-a.md': '# 0001 A is done\n\n*Superseded by [0002](0002-b.md).*\n',
    '0003-c.md': '# 0003 C is done\n\n**Decision.** Text.\n',
  }
  const index =
    '# Decisions\n<!-- list: written by `node dev/checks/prose.mjs --write` -->\nold\n<!-- end of the list -->\nEnd.\n'

  it('has each page by number, with what supersedes what', () => {
    expect(decisionList(pages)).toEqual([
      '- [0001](0001-a.md) A is done. *Superseded by 0002.*',
      '- [0002](0002-b.md) B is done. *Supersedes 0001.*',
      '- [0003](0003-c.md) C is done',
    ])
  })

  it('stands in the index in the place of the former one', () => {
    expect(withList(index, ['- a', '- b'])).toBe(index.replace('old', '\n- a\n- b\n'))
  })

  it('refuses a page whose title has another number, and an index without a place for the list', () => {
    expect(() => decisionList({ '0004-d.md': '# 0005 D is done\n' })).toThrow('# 0004')
    expect(() => withList('# Decisions\n', [])).toThrow('lacks')
  })
})
