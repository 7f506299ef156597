export { createOperations, type Check, type Operations } from './operations'
export {
  exitWithMessage,
  runOnce,
  runProcess,
  type OnceContext,
  type ProcessContext,
  type ProcessInput,
  type ProcessSettings,
} from './run-process'
export { Scope } from './scope'
