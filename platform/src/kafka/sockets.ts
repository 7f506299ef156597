import openSocket from 'kafkajs/src/network/socketFactory'
import type { ISocketFactory } from 'kafkajs'

const open = openSocket()

/**
 * Sockets as kafkajs 2.2.4 opens them, which can be let go of again and again. Whenever it disconnects from the
 * cluster, it calls `unref` on the socket of a broker that is gone. On a closed socket Node keeps each call for the
 * next connection, which never comes. Listeners pile up, and with the eleventh the log has a
 * `MaxListenersExceededWarning`.
 */
export const socketFactory: ISocketFactory = (options) => {
  const socket = open(options)
  const { unref } = socket
  socket.unref = () => (socket.destroyed ? socket : unref.call(socket))
  return socket
}
