import { z } from 'zod';
import type { Metadata, ToolCallBlock } from '../messages/block.js';
import { DeclineCause } from './agent-event.js';

/** What a call keeps of being asked about, in its metadata under `approval`. */
export const ApprovalNote = z.object({
  id: z.string(),
  /** Why it is asked about. */
  message: z.string().optional(),
  /** What runs, as JSON text, where that is not the input as the model wrote it. */
  input: z.string().optional(),
  /** Of a call that was declined. */
  cause: DeclineCause.optional(),
  comment: z.string().optional(),
});
export type ApprovalNote = z.infer<typeof ApprovalNote>;

export function approvalOf(call: Pick<ToolCallBlock, 'metadata'>): ApprovalNote | null {
  return ApprovalNote.safeParse(call.metadata?.['approval']).data ?? null;
}

export function withApproval(metadata: Metadata | undefined, approval: ApprovalNote): Metadata {
  return { ...metadata, approval };
}

export function withDecline(
  metadata: Metadata | undefined,
  { cause, comment }: { cause?: DeclineCause | undefined; comment?: string | undefined },
): Metadata | undefined {
  if (cause === undefined && comment === undefined) return metadata;
  const note = approvalOf({ metadata }) ?? { id: '' };
  return withApproval(metadata, { ...note, ...(cause && { cause }), ...(comment !== undefined && { comment }) });
}
