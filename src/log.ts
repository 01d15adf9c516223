import { pino } from 'pino';

/** Fields of one log line. Never statement text, never a secret. */
export type LogFields = Readonly<Record<string, unknown>>;

/** The part of pino that the program uses. One line per life-cycle event; nothing per message. */
export interface Logger {
  trace(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A logger whose level can be changed while it runs. */
export interface AdjustableLogger extends Logger {
  level: string;
}

/** Opens the program's log: JSON lines on `destination` (a file descriptor; 1 is standard output). */
export function openLogger(level: LogLevel, destination = 1): AdjustableLogger {
  return pino(
    {
      level,
      base: { program: 'switchyard', pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: destination, sync: false }),
  );
}

/** A logger that says nothing; for tests and for the command line tools. */
export const silentLogger: Logger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
