import type { sendUnaryData, ServerUnaryCall, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js'
import { SupportedMethod, SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb'

/**
 * The version whose behaviour is followed; clients switch features by it. The suffix says that this is another server.
 */
const SERVER_VERSION = '24.10.5-annals-development'

/** Answers which methods are there; names are lower case, as EventStoreDB sends them. */
export function serverFeaturesService(services: readonly ServiceDefinition[]): UntypedServiceImplementation {
  const answer = new SupportedMethods()
  answer.setEventStoreServerVersion(SERVER_VERSION)
  for (const service of services)
    for (const { path } of Object.values(service)) {
      const [, serviceName = '', methodName = ''] = path.split('/')
      const method = new SupportedMethod()
      method.setServiceName(serviceName.toLowerCase())
      method.setMethodName(methodName.toLowerCase())
      answer.addMethods(method)
    }
  return {
    getSupportedMethods(_call: ServerUnaryCall<unknown, SupportedMethods>, callback: sendUnaryData<SupportedMethods>) {
      callback(null, answer)
    },
  }
}
