export { commonProblems, type QueryRoute } from './query/route'
export { queryRoutes } from './query/routes'
export { projections } from './projections'
export type { Projection } from './engine/projection'
