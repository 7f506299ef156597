export { createApi, type ApiOptions } from './api'
export { HttpProblem, type ProblemRow } from './problem'
export { startOperationsServer, type Readiness } from './operations'
