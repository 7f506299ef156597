import { randomUUID } from 'node:crypto'
import type { sendUnaryData, ServerUnaryCall, UntypedServiceImplementation } from '@grpc/grpc-js'
import { ClusterInfo, EndPoint, MemberInfo } from '@eventstore/db-client/generated/gossip_pb'
import { UUID } from '@eventstore/db-client/generated/shared_pb'

/** `VNodeState.LEADER` of gossip.proto. */
const LEADER = 8

/**
 * `event_store.client.gossip.Gossip`: a cluster of one node, which leads, under the host by which the client reached it.
 * @param port of the server, known once it is bound
 */
export function gossipService(port: () => number): UntypedServiceImplementation {
  const instanceId = randomUUID()
  return {
    read(call: ServerUnaryCall<unknown, ClusterInfo>, callback: sendUnaryData<ClusterInfo>) {
      const id = new UUID()
      id.setString(instanceId)
      const http = new EndPoint()
      http.setAddress(call.getHost().replace(/:\d+$/, ''))
      http.setPort(port())
      const member = new MemberInfo()
      member.setInstanceId(id)
      member.setTimeStamp(String(Date.now()))
      member.setState(LEADER)
      member.setIsAlive(true)
      member.setHttpEndPoint(http)
      const cluster = new ClusterInfo()
      cluster.setMembersList([member])
      callback(null, cluster)
    },
  }
}
