/** A row of a service's table of problems. */
export interface ProblemRow {
  status: number
  title: string
}

export interface ProblemFacts {
  /** What to do about it, for people. Goes out: no secrets, no internals. */
  detail?: string
  /** One entry per fault of a request. */
  errors?: { pointer: string; message: string }[]
  /** Response headers, such as `Retry-After` in seconds. */
  headers?: Record<string, string>
  cause?: unknown
}

/** An answer other than success; thrown by routes, turned into `application/problem+json` (RFC 9457) by the API. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'

  constructor(
    readonly code: string,
    readonly facts: ProblemFacts = {},
  ) {
    super(facts.detail ?? code, facts.cause === undefined ? {} : { cause: facts.cause })
  }
}
