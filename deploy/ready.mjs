/** Health check of a container: 0 when the process in it answers its readiness path with 200. */
const { HTTP_PORT, HEALTH_PATH = '/readyz' } = process.env

fetch(`http://127.0.0.1:${HTTP_PORT}${HEALTH_PATH}`, { signal: AbortSignal.timeout(3_000) }).then(
  (response) => process.exit(response.ok ? 0 : 1),
  () => process.exit(1),
)
