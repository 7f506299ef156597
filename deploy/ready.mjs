/** Health check of a container: 0 when the process in it answers /readyz with 200; a sandbox answers /healthz on its only port. */
const { OPERATIONS_PORT, HEALTH_PATH = '/readyz' } = process.env

fetch(`http://127.0.0.1:${OPERATIONS_PORT}${HEALTH_PATH}`, { signal: AbortSignal.timeout(3_000) }).then(
  (response) => process.exit(response.ok ? 0 : 1),
  () => process.exit(1),
)
