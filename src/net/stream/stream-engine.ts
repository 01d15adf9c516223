import { EngineName } from '../engine.js';
import type { DialOptions, Engine, Listener, ListenOptions } from '../engine.js';
import type { Wire } from '../wire.js';
import { dialStream } from './dial-stream.js';
import { StreamListener } from './stream-listener.js';

/** The engine that is always there: Node's documented stream API. */
export class StreamEngine implements Engine {
  readonly name = EngineName.Stream;

  listen(options: ListenOptions, onWire: (wire: Wire) => void): Promise<Listener> {
    return StreamListener.open(options, onWire);
  }

  dial(options: DialOptions, signal?: AbortSignal): Promise<Wire> {
    return dialStream(options, signal);
  }
}
