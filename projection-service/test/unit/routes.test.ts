import { describe, expect, it } from '@jest/globals'
import { problems } from '@annals/contracts'
import { commonProblems } from '../../src/query/route'
import { queryRoutes } from '../../src/query/routes'

describe('every route of the query API', () => {
  it.each(queryRoutes.map((route) => [route.path, route] as const))('%s is described whole', (path, route) => {
    expect(path).toMatch(/^\/api\/v1(\/([a-z]+|:[a-zA-Z]+))+$/)
    const parameters = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name)
    expect(Object.keys(route.params?.shape ?? {})).toEqual(parameters)
    expect(route.reads.length).toBeGreaterThan(0)
    expect(route.problems.some((code) => commonProblems.includes(code))).toBe(false)
    for (const code of [...route.problems, ...commonProblems]) expect(problems).toHaveProperty(code)
    expect(route.access === 'admin').toBe(route.problems.includes('forbidden'))
  })

  it('has a name of its own', () => {
    const names = queryRoutes.map(({ operationId }) => operationId)
    expect(new Set(names).size).toBe(names.length)
  })
})
