/** A row of the table of problems. */
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
  /** Members of its own, beside those of every problem (RFC 9457 § 3.2). */
  members?: Record<string, string | number>
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

/** What problems an API answers with, and what its own errors mean. */
export interface ProblemTable {
  /** Every code that this API answers with. */
  problems: Record<string, ProblemRow>
  /** URI that names a problem's type. */
  problemType(code: string): string
  /** Turns an error of the service into a problem; `undefined`: it is a fault of ours, a 500. */
  toProblem: (error: unknown) => HttpProblem | undefined
}
