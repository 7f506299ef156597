import { z } from 'zod'
import { Problem, problems, type ProblemCode } from '../api/problems'

/** What a route says of itself; the same schemas validate its requests. */
export interface RouteDescription {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With `:name` parameters. */
  path: string
  summary: string
  tag: string
  /** `admin`: an access token with that role. */
  auth: 'none' | 'user' | 'admin'
  params?: z.ZodObject
  query?: z.ZodObject
  headers?: z.ZodObject
  body?: z.ZodType
  /** Answer of success; without a schema it has no body. */
  response: { status: number; schema?: z.ZodType }
  problems: readonly ProblemCode[]
}

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output') => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>
  return rest
}

const parameters = (place: 'path' | 'query' | 'header', schema: z.ZodObject | undefined) =>
  Object.entries(schema?.shape ?? {}).map(([name, field]) => ({
    name,
    in: place,
    required: place === 'path' || !(field as z.ZodType).safeParse(undefined).success,
    schema: jsonSchema(field as z.ZodType, 'input'),
  }))

function responses({ response, problems: codes }: RouteDescription) {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of codes) byStatus.set(problems[code].status, [...(byStatus.get(problems[code].status) ?? []), code])
  const success = response.schema
    ? { description: 'Done', content: { 'application/json': { schema: jsonSchema(response.schema, 'output') } } }
    : { description: 'Done' }
  return {
    [response.status]: success,
    ...Object.fromEntries(
      [...byStatus].map(([status, list]) => [
        status,
        {
          description: list.map((code) => `\`${code}\`: ${problems[code].title}`).join('. '),
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      ]),
    ),
  }
}

function operation(route: RouteDescription) {
  const all = [
    ...parameters('path', route.params),
    ...parameters('query', route.query),
    ...parameters('header', route.headers),
  ]
  return {
    summary: route.summary,
    tags: [route.tag],
    ...(route.auth === 'none' ? {} : { security: [{ accessToken: [] }] }),
    ...(all.length ? { parameters: all } : {}),
    ...(route.body
      ? {
          requestBody: { required: true, content: { 'application/json': { schema: jsonSchema(route.body, 'input') } } },
        }
      : {}),
    responses: responses(route),
  }
}

/**
 * An API as an OpenAPI 3.1 document.
 * @see https://spec.openapis.org/oas/v3.1.1.html
 */
export function openApiDocument(
  title: string,
  version: string,
  routes: readonly RouteDescription[],
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.1',
    info: { title, version },
    paths,
    components: {
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: { Problem: jsonSchema(Problem, 'output') },
    },
  }
}
