import { z } from 'zod';
import { SwitchyardError } from '../errors.js';
import { CONSOLE_DATABASE } from '../session/console-door.js';
import { json } from './http-answer.js';
import type { Answer } from './http-answer.js';
import type { Proxy } from './proxy.js';

const name = z
  .string()
  .min(1)
  .max(1000)
  .refine((text) => text !== CONSOLE_DATABASE, { message: 'is the console itself' });

/** Of `/api/v1/pause`, `/api/v1/resume` and `/api/v1/reconnect`; without a database: all. */
const anySchema = z.strictObject({ database: name.optional() });
/** Of `/api/v1/disable` and `/api/v1/enable`. */
const oneSchema = z.strictObject({ database: name });

export interface PauseAction {
  readonly path: string;
  readonly schema: typeof anySchema | typeof oneSchema;
  /** Null: all. */
  readonly run: (database: string | null) => Answer;
}

/** What the console does with PAUSE, RESUME, RECONNECT, DISABLE and ENABLE, over HTTP. None of them waits. */
export function pauseActions({ pauses }: Proxy): readonly PauseAction[] {
  const act =
    (run: (database: string | null) => Answer): PauseAction['run'] =>
    (database) => {
      try {
        return run(database);
      } catch (error) {
        if (!(error instanceof SwitchyardError)) throw error;
        return json(409, { error: error.message, ...(error.hint === null ? {} : { hint: error.hint }) });
      }
    };
  const one = (database: string | null): string => database ?? '';
  return [
    {
      path: '/api/v1/pause',
      schema: anySchema,
      run: act((database) => {
        pauses.pause(database);
        const isOver = pauses.isEmpty(database);
        return json(isOver ? 200 : 202, {
          paused: database ?? 'all',
          waitsFor: isOver ? null : pauses.waitsFor(database),
        });
      }),
    },
    {
      path: '/api/v1/resume',
      schema: anySchema,
      run: act((database) => {
        const { waiting } = pauses;
        pauses.resume(database);
        return json(200, { resumed: database ?? 'all', released: waiting - pauses.waiting });
      }),
    },
    {
      path: '/api/v1/reconnect',
      schema: anySchema,
      run: act((database) => {
        pauses.reconnect(database);
        return json(202, { reconnecting: database ?? 'all', backends: pauses.retiring(database) });
      }),
    },
    {
      path: '/api/v1/disable',
      schema: oneSchema,
      run: act((database) => {
        pauses.disable(one(database));
        return json(200, { disabled: pauses.disabled });
      }),
    },
    {
      path: '/api/v1/enable',
      schema: oneSchema,
      run: act((database) => {
        pauses.enable(one(database));
        return json(200, { disabled: pauses.disabled });
      }),
    },
  ];
}
