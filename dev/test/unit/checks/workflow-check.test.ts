import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { workflowFaults } from '../../../checks/workflow-check.mjs'

const root = path.join(__dirname, '../../../..')
const workflow = readFileSync(path.join(root, '.github/workflows/ci.yml'), 'utf8')
const scripts = Object.keys(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).scripts)

/** The workflow with one change, which has to be one. */
function changed(from: string | RegExp, to: string): string[] {
  const text = workflow.replace(from, to)
  expect(text).not.toBe(workflow)
  return workflowFaults(text, { scripts, exists: () => true })
}

describe('the check of the pipeline', () => {
  it('accepts the file as it is', () => {
    expect(workflowFaults(workflow, { scripts, exists: () => true })).toEqual([])
  })

  it.each([
    ['permissions:\n  contents: read', 'permissions: write-all'],
    ['permissions:\n  contents: read', 'permissions:\n  contents: write'],
    ['permissions:\n  contents: read', ''],
  ])('refuses other permissions than to read: %j becomes %j', (from, to) => {
    expect(changed(from, to)).toEqual(['permissions of the workflow must be contents: read, no more.'])
  })

  it('refuses a job that asks for more', () => {
    expect(changed('name: This file', 'name: This file\n    permissions: { packages: write }')).toEqual([
      'workflow: asks for more than contents: read.',
    ])
  })

  it.each([
    'actions/checkout@v6',
    'actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd',
    'actions/checkout@main',
  ])('refuses an action that is not pinned by commit and version: %s', (action) => {
    expect(changed(/actions\/checkout@\S+ # v6.0.2/, action)).toEqual([
      `${action} must be pinned: owner/name@<commit> # v<version>.`,
    ])
  })

  it('refuses a job without a time limit', () => {
    expect(changed('    timeout-minutes: 90\n', '')).toEqual(['test: needs timeout-minutes, at most 120.'])
  })

  it('refuses an expression in a command, which a title of a pull request would run in', () => {
    expect(changed('run: .ci/run', "run: echo '${{ github.event.pull_request.title }}'")).toEqual([
      'test: a command holds an expression: pass it as a variable.',
    ])
  })

  it('refuses pull_request_target', () => {
    expect(changed('pull_request:', 'pull_request_target:')).toEqual([
      'pull_request_target gives secrets to strangers.',
    ])
  })

  it('refuses a script or program that is not there', () => {
    expect(changed('npm run lint:workflow', 'npm run lint:workflows')).toEqual([
      'workflow: there is no npm script lint:workflows.',
    ])
    expect(workflowFaults(workflow, { scripts, exists: (file) => file !== '.ci/run' })).toEqual([
      'test: .ci/run is not there.',
    ])
  })
})
