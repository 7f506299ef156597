export * from './asyncapi'
export * from './compatibility'
export * from './openapi'
export * from './permission-matrix'
