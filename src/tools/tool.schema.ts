import { z } from 'zod';

export const ToolView = z
  .object({
    name: z.string(),
    description: z.string(),
    input_schema: z.record(z.string(), z.unknown()).describe('JSON Schema of the input'),
    group: z.string().describe('`basic`, or a group that the agent switches on and off itself'),
    is_enabled: z.boolean().describe('false: it stands in `disabled_tools` of the session'),
    is_active: z.boolean().describe('false: its group is off, so the model is not told of it'),
    is_read_only: z.boolean(),
    is_concurrency_safe: z.boolean().describe('Runs beside other such calls of the same model turn'),
    is_idempotent: z.boolean().describe('Runs again when a crash leaves its outcome unknown'),
    is_external: z.boolean().describe('Executed by the client: its calls park the run'),
    starts_work: z.boolean().describe('Starts agents, schedules or other work that goes on beyond the call'),
  })
  .meta({ id: 'Tool' });
export type ToolView = z.infer<typeof ToolView>;

export const SessionTools = z.object({ tools: z.array(ToolView) }).meta({ id: 'SessionTools' });
export type SessionTools = z.infer<typeof SessionTools>;
