import type { MultipartFile, MultipartValue } from '@fastify/multipart'
import type { z } from 'zod'
import type { Browser } from './session-cookies'

/** The closed types of a family of APIs: what its routes may name. */
export interface ApiTypes {
  permission: string
  principal: unknown
  problem: string
  rateLimit: string
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** The permission that asks for nobody in particular. */
export const everybody = 'public'

/** How a successful answer is written: `csv` with a header line, `ndjson` one JSON text a line, `events` as server-sent events. */
export type AnswerForm = 'json' | 'csv' | 'ndjson' | 'events'
/** How a body is read: `raw` as bytes, for signatures over them; `multipart` part by part. */
export type BodyForm = 'json' | 'raw' | 'multipart'

/** A part of an upload. A file's stream has to be read or destroyed before the next part comes. */
export type Part = MultipartFile | MultipartValue

type Output<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined
type Input<Schema> = Schema extends z.ZodType ? z.input<Schema> : undefined

/** A request after all checks: authenticated, permitted, validated. */
export interface Incoming<Principal, Params, Query, Headers, Body> {
  principal: Principal
  params: Params
  query: Query
  headers: Headers
  body: Body
  correlationId: string
  /** Address of the client, as far as proxies that are trusted tell it. */
  ip: string
  /** The header `User-Agent` as it came. */
  userAgent: string | undefined
  /** What it says of the browser that sends it; `undefined` where cookies are off. */
  browser: Browser | undefined
  /** Aborts when the client has gone. */
  signal: AbortSignal
}

export interface SentEvent<Data> {
  data: Data
  id?: string
  event?: string
}

/** Content of a successful answer, by its form. */
interface Contents<Schema> {
  json: Schema extends z.ZodType ? { body: z.input<Schema> } : object
  csv: { lines: AsyncIterable<Input<Schema>>; as?: 'ndjson' }
  ndjson: { lines: AsyncIterable<Input<Schema>>; as?: 'csv' }
  events: { events: AsyncIterable<SentEvent<Input<Schema>>> }
}
interface Bodies<Schema> {
  json: Output<Schema>
  raw: Buffer
  multipart: AsyncIterable<Part>
}

/** Answer of success: its content, as the response's schema has it, and headers beside it. */
export type Answer<Schema, Form extends AnswerForm = 'json'> = Contents<Schema>[Form] & {
  /** One of the response's `others`. */
  status?: number
  headers?: AnswerHeaders
}

/** Several values of `Set-Cookie` are several lines. */
export type AnswerHeaders = Record<string, string | string[]>

/** What a route says of itself, beside its schemas. */
interface Facts<Types extends ApiTypes> {
  /** Unique among all APIs; names the operation in documents and metrics. */
  readonly operationId: string
  readonly method: Method
  /** With `:name` parameters. */
  readonly path: string
  /** Other addresses that answer the same. */
  readonly aliases?: readonly { method: Method; path: string }[] | undefined
  readonly summary: string
  readonly tag: string
  /** Its caller has shown who they are within the last minutes. */
  readonly freshAuthentication?: true | undefined
  readonly rateLimit: Types['rateLimit']
  /** Bytes of a body at most. Default: the API's. */
  readonly bodyBytesMax?: number | undefined
  /** Its own; those of its kind are known. */
  readonly problems: readonly Types['problem'][]
  readonly examples?: Readonly<Record<string, { request?: unknown; answer?: unknown }>> | undefined
}

/** A route as it is mounted and described; its types are those of its schemas, checked where it was defined. */
export interface Route<Deps, Types extends ApiTypes = ApiTypes> extends Facts<Types> {
  readonly permission: Types['permission']
  readonly params?: z.ZodObject | undefined
  readonly query?: z.ZodObject | undefined
  readonly headers?: z.ZodObject | undefined
  readonly body?: z.ZodType | undefined
  readonly bodyForm?: BodyForm | undefined
  readonly response: {
    status: number
    others?: readonly number[] | undefined
    schema?: z.ZodType | undefined
    form?: AnswerForm | undefined
    /** Forms that `as` of an answer may name in place of it. */
    alternatives?: readonly AnswerForm[] | undefined
  }
  // Method syntax: a route that needs fewer dependencies than an API has may be mounted on it.
  handle(request: never, deps: Deps): Promise<AnyAnswer>
}

/** What any route answers. */
export interface AnyAnswer {
  status?: number
  body?: unknown
  lines?: AsyncIterable<unknown>
  events?: AsyncIterable<SentEvent<unknown>>
  headers?: AnswerHeaders
  /** The form that this answer has, where that is another one than the route's. */
  as?: AnswerForm
}

/**
 * Binds `defineRoute` to the closed types of a family of APIs, and to what its handlers need.
 * @returns `defineRoute`: the one way to declare a route. Requests are validated by its schemas, and answers too: what an answer has
 *   beyond its schema is not sent, and one that does not fit is a fault of ours (500).
 */
export function routeDefiner<Types extends ApiTypes, Deps>() {
  return function defineRoute<
    const Permission extends Types['permission'],
    Params extends z.ZodObject | undefined = undefined,
    Query extends z.ZodObject | undefined = undefined,
    Headers extends z.ZodObject | undefined = undefined,
    Body extends z.ZodType | undefined = undefined,
    const Read extends BodyForm = 'json',
    Schema extends z.ZodType | undefined = undefined,
    const Form extends AnswerForm = 'json',
  >(
    route: Facts<Types> & {
      permission: Permission
      params?: Params
      query?: Query
      /** Those it reads; others are let through. */
      headers?: Headers
      body?: Body
      bodyForm?: Read
      /** `others`: further statuses of success, which an answer has to name. */
      response: {
        status: number
        others?: readonly number[]
        schema?: Schema
        form?: Form
        alternatives?: readonly AnswerForm[]
      }
      handle(
        request: Incoming<
          Permission extends typeof everybody ? undefined : Types['principal'],
          Output<Params>,
          Output<Query>,
          Output<Headers>,
          Bodies<Body>[Read]
        >,
        deps: Deps,
      ): Promise<Answer<Schema, Form>>
    },
  ): Route<Deps, Types> {
    return route as Route<Deps, Types>
  }
}
