const settled = Promise.resolve();

/**
 * Runs something behind the present call and those that wait already, before anything else is heard: like `queueMicrotask`, but that makes
 * an AsyncResource each time, which is dear where it happens for each unit. What is thrown is an unhandled rejection.
 */
export function soon(run: () => void): void {
  void settled.then(run);
}
