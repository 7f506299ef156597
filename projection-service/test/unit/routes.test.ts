import { describe, expect, it } from '@jest/globals'
import { queryRoutes } from '../../src/query/routes'

describe('every route of the query API', () => {
  it.each(queryRoutes.map((route) => [route.path, route] as const))('%s is described whole', (path, route) => {
    expect(path).toMatch(/^\/api\/v1(\/([a-z]+|:[a-zA-Z]+))+$/)
    const parameters = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name)
    expect(Object.keys(route.params?.shape ?? {})).toEqual(parameters)
    expect(route.reads.length).toBeGreaterThan(0)
    expect(new Set(route.problems).size).toBe(route.problems.length)
  })
})
