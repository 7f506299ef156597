export { queryRoutes } from './query/routes'
export { projections } from './projections'
export { defineProjection, type Projection } from './engine/definition/projection'
export { refusalsOfExamples, refusalsOfStream, type Example, type Refusal } from './engine/fold/refusals'
