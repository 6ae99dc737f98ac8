import { z } from 'zod';
import { InputMsg } from '../core/messages/message.js';

const MAX_MESSAGES = 100;

export const ChatRequest = z
  .object({
    session_id: z.string().min(1).max(256).describe("The session's id, or your own name for it"),
    agent_id: z.string().max(256).optional().describe('Checked against the session when given'),
    input: z
      .union([InputMsg, z.array(InputMsg).min(1).max(MAX_MESSAGES)])
      .nullable()
      .describe('What the user says; null lets the agent go on with the conversation as it stands'),
  })
  .meta({ id: 'ChatRequest' });
export type ChatRequest = z.infer<typeof ChatRequest>;

export const ChatAccepted = z
  .object({
    status: z
      .enum(['started', 'queued'])
      .describe('queued: earlier input of the session comes first, or no worker was free'),
    session_id: z.uuid(),
    run_id: z.uuid(),
  })
  .meta({
    id: 'ChatAccepted',
    description: 'The run is on record and will reach an end; its events come on the stream of the session',
  });
export type ChatAccepted = z.infer<typeof ChatAccepted>;

export const Interrupted = z
  .object({ session_id: z.uuid(), run_id: z.uuid().nullable(), was_running: z.boolean() })
  .meta({ id: 'Interrupted' });
export type Interrupted = z.infer<typeof Interrupted>;
