let handedIn: NodeJS.ProcessEnv = {}

/** Hands in what `main` found in the process's environment; before any command runs. */
export function useEnvironment(env: NodeJS.ProcessEnv): void {
  handedIn = env
}

export const environment = (): NodeJS.ProcessEnv => handedIn
