export { createApi, type ApiOptions } from './api'
export type { Access } from './mount'
export { HttpProblem, type ProblemRow } from './problem'
export { routeDefiner, type Answer, type ApiTypes, type Incoming, type Part, type Route } from './route'
