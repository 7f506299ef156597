import { z } from 'zod'
import { Problem, problems, type ProblemCode } from '../api/problems'
import { problemsOf, type AnswerForm, type BodyForm, type RouteDescription } from '../api/route'

export interface ApiDescription {
  title: string
  version: string
  description: string
  /** Where it answers on a machine of one's own. */
  url: string
  routes: readonly RouteDescription[]
}

const jsonSchema = (schema: z.ZodType, io: 'input' | 'output') => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Record<string, unknown>
  return rest
}

const bodyTypes: Record<BodyForm, string> = {
  json: 'application/json',
  raw: 'application/octet-stream',
  multipart: 'multipart/form-data',
}
const answerTypes: Record<AnswerForm, string> = {
  json: 'application/json',
  csv: 'text/csv',
  ndjson: 'application/x-ndjson',
  events: 'text/event-stream',
}

const parameters = (place: 'path' | 'query' | 'header', schema: z.ZodObject | undefined) =>
  Object.entries(schema?.shape ?? {}).map(([name, field]) => ({
    name,
    in: place,
    required: place === 'path' || !(field as z.ZodType).safeParse(undefined).success,
    schema: jsonSchema(field as z.ZodType, 'input'),
  }))

const examplesOf = ({ examples = {} }: RouteDescription, part: 'request' | 'answer') => {
  const found = Object.entries(examples).filter(([, example]) => example[part] !== undefined)
  return found.length === 0
    ? {}
    : { examples: Object.fromEntries(found.map(([name, example]) => [name, { value: example[part] }])) }
}

function success(route: RouteDescription) {
  const { schema, form = 'json', alternatives = [] } = route.response
  if (!schema) return { description: 'Done' }
  // Of a stream the schema tells one line or event.
  const content = (form: AnswerForm) => [
    answerTypes[form],
    {
      schema: form === 'csv' ? { type: 'string' } : jsonSchema(schema, 'output'),
      ...(form === 'csv' ? {} : examplesOf(route, 'answer')),
    },
  ]
  return { description: 'Done', content: Object.fromEntries([form, ...alternatives].map(content)) }
}

function responses(route: RouteDescription) {
  const byStatus = new Map<number, ProblemCode[]>()
  for (const code of problemsOf(route))
    byStatus.set(problems[code].status, [...(byStatus.get(problems[code].status) ?? []), code])
  return {
    [route.response.status]: success(route),
    ...Object.fromEntries((route.response.others ?? []).map((status) => [status, success(route)])),
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
    operationId: route.operationId,
    summary: route.summary,
    tags: [route.tag],
    security: route.permission === 'public' ? [] : [{ accessToken: [] }, { accessCookie: [] }],
    'x-permission': route.permission,
    ...(route.freshAuthentication ? { 'x-fresh-authentication': true } : {}),
    'x-rate-limit': route.rateLimit,
    ...(all.length ? { parameters: all } : {}),
    ...(route.body
      ? {
          requestBody: {
            required: true,
            content: {
              [bodyTypes[route.bodyForm ?? 'json']]: {
                schema: jsonSchema(route.body, 'input'),
                ...examplesOf(route, 'request'),
              },
            },
          },
        }
      : {}),
    responses: responses(route),
  }
}

/** Every address of a route, with the names of its aliases. */
function* addressesOf(route: RouteDescription) {
  yield { method: route.method, path: route.path, operation: operation(route) }
  for (const [i, { method, path }] of (route.aliases ?? []).entries())
    yield {
      method,
      path,
      operation: {
        ...operation(route),
        operationId: `${route.operationId}Alias${i === 0 ? '' : i + 1}`,
        summary: `${route.summary} (another name of ${route.method} ${route.path})`,
      },
    }
}

/**
 * An API as an OpenAPI 3.1 document.
 * @see https://spec.openapis.org/oas/v3.1.1.html
 */
export function openApiDocument({ title, version, description, url, routes }: ApiDescription): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const address of routes.flatMap((route) => [...addressesOf(route)])) {
    const path = address.path.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [address.method.toLowerCase()]: address.operation }
  }
  return {
    openapi: '3.1.1',
    info: { title, version, description },
    servers: [{ url }],
    paths,
    components: {
      securitySchemes: {
        accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        accessCookie: {
          type: 'apiKey',
          in: 'cookie',
          name: '__Host-annals-access',
          description:
            'Where the deployment allows it (`COOKIE_MODE`). What changes something needs the `csrfToken` of the session as a header `CSRF-Token`.',
        },
      },
      schemas: { Problem: jsonSchema(Problem, 'output') },
    },
  }
}
