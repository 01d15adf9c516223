import { noticeResponse } from '../../protocol/backend-messages.js';
import type { NodeName } from '../../util/brand.js';
import type { Target } from '../berths.js';

/** What a client is told of a decision that has asked for it with `SET switchyard.explain = on`: a whole NoticeResponse. */
export function decisionNotice(target: Target, node: NodeName | null, reason: string): Buffer {
  return noticeResponse('NOTICE', {
    sqlState: '00000',
    message: `switchyard: ${target} ${node ?? 'none'} (${reason})`,
  });
}
