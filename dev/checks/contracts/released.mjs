import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../profile.mjs'

export const releasedFile = join(root, 'contracts/released.json')
const goldenDirectory = join(root, 'contracts/golden')

/** @param {string} file */
export const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'))

/**
 * What the last release wrote down.
 * @returns {{ schemas: Record<string, import('@annals/contracts/tooling').JsonSchema>, golden: Record<string, string> }} JSON Schemas by `<type>.v<version>`, and
 *   SHA-256 (hex) of the golden examples by file name
 */
export function readReleased() {
  try {
    return readJson(releasedFile)
  } catch (error) {
    if (error.code === 'ENOENT') return { schemas: {}, golden: {} }
    throw error
  }
}

/**
 * The golden corpus as it is in the working tree.
 * @returns {{ name: string, hash: string, example: import('@annals/projection-service').Example }[]} by file name
 */
export function readGolden() {
  const names = readdirSync(goldenDirectory).filter((name) => name.endsWith('.json'))
  return names.map((name) => {
    const bytes = readFileSync(join(goldenDirectory, name))
    const { opened, openedSecrets: _, ...recorded } = JSON.parse(bytes.toString())
    const hash = createHash('sha256').update(bytes).digest('hex')
    return { name, hash, example: { recorded: { ...recorded, position: 0n }, opened } }
  })
}
