export { createApi, type ApiOptions } from './api'
export { browserRulesOf, type BrowserRules } from './browsers'
export type { Access } from './admission'
export { postgresProblem } from './postgres-problem'
export { HttpProblem, type ProblemRow } from './problem'
export {
  routeDefiner,
  type Answer,
  type AnswerHeaders,
  type ApiTypes,
  type Incoming,
  type Part,
  type Route,
} from './route'
export { csrfProof, sessionCookies, type Browser } from './session-cookies'
