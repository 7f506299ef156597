import { describe, expect, it, jest } from '@jest/globals'
import ConsumerGroup from 'kafkajs/src/consumer/consumerGroup'
import { keepMembershipWithoutNode } from '../../src/kafka/fetch-faults'

keepMembershipWithoutNode()

const named = (name: string, cause?: Error) => Object.assign(new Error(name, { cause }), { name })

/** A member of a group of three nodes, coordinated by node 1, whose fetches fail. */
function member(fault: Error) {
  const disconnect = jest.fn(async () => undefined)
  const nodes = {
    1: { connectionPool: { host: 'a', port: 1 }, disconnect },
    2: { connectionPool: { host: 'b', port: 2 }, disconnect },
  }
  const removeBroker = jest.fn()
  const refreshMetadata = jest.fn(async () => undefined)
  const cluster = {
    refreshMetadataIfNecessary: () => Promise.reject(fault),
    refreshMetadata,
    brokerPool: { brokers: nodes, removeBroker },
  }
  const group = Object.assign(Object.create(ConsumerGroup.prototype) as ConsumerGroup, {
    cluster,
    coordinator: { nodeId: 1 },
  })
  return { group, removeBroker, refreshMetadata, disconnect }
}

describe('a fetch from a node that does not answer', () => {
  it.each([
    named('KafkaJSConnectionError'),
    named('KafkaJSRequestTimeoutError'),
    named('KafkaJSNumberOfRetriesExceeded', named('KafkaJSConnectionError')),
  ])('forgets the node, asks who leads now and goes on: %s', async (fault) => {
    const { group, removeBroker, refreshMetadata, disconnect } = member(fault)
    await expect(group.fetch(2)).resolves.toEqual([])
    expect(removeBroker).toHaveBeenCalledWith({ host: 'b', port: 2 })
    expect(disconnect).toHaveBeenCalledTimes(1)
    expect(refreshMetadata).toHaveBeenCalledTimes(1)
  })

  it('is told when the node is the coordinator, without which there is no membership to keep', async () => {
    const fault = named('KafkaJSConnectionError')
    const { group, removeBroker } = member(fault)
    await expect(group.fetch(1)).rejects.toBe(fault)
    expect(removeBroker).not.toHaveBeenCalled()
  })

  it('is told when no other node answers', async () => {
    const { group, refreshMetadata } = member(named('KafkaJSConnectionError'))
    const nobody = named('KafkaJSConnectionError')
    refreshMetadata.mockRejectedValueOnce(nobody)
    await expect(group.fetch(2)).rejects.toBe(nobody)
  })

  it('leaves every other fault to the library', async () => {
    const fault = named('KafkaJSStaleTopicMetadataAssignmentOfAnotherKind')
    const { group, removeBroker } = member(fault)
    await expect(group.fetch(2)).rejects.toBe(fault)
    expect(removeBroker).not.toHaveBeenCalled()
  })
})
