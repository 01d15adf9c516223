/** The promise, or a failure when it is not settled in time. What comes later is nobody's. */
export function within<T>(promise: Promise<T>, limitMs: number, message = 'no answer in time'): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(message)), limitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
