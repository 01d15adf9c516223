import { Frontend } from '../protocol/codes.js';

/** The kind of Describe that is about a portal. */
const OF_PORTAL = 0x50;

/**
 * Whether the client of this unit (whole frames) is told the columns of every result in the unit itself, so that it depends on nothing
 * that it was told before: a simple Query is, an Execute when its portal was described behind its Bind.
 */
export function isDescribed(frames: Buffer): boolean {
  const described = new Set<string>();
  for (let at = 0; at < frames.length; ) {
    const type = frames.readUInt8(at);
    const body = at + 5;
    at += 1 + frames.readUInt32BE(at + 1);
    switch (type) {
      case Frontend.Bind:
        described.delete(nameAt(frames, body));
        break;
      case Frontend.Describe:
        if (frames[body] === OF_PORTAL) described.add(nameAt(frames, body + 1));
        break;
      case Frontend.Execute:
        if (!described.has(nameAt(frames, body))) return false;
        break;
      default:
    }
  }
  return true;
}

function nameAt(frames: Buffer, at: number): string {
  return frames.toString('latin1', at, frames.indexOf(0, at));
}
