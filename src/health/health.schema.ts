import { z } from 'zod';

const Component = z.object({ status: z.enum(['up', 'down']), response_time_ms: z.number().optional() });

export const Health = z
  .object({
    status: z.enum(['healthy', 'unhealthy']),
    timestamp: z.iso.datetime(),
    version: z.string(),
    components: z.record(z.string(), Component).describe('postgres, redis or bus, queue'),
  })
  .meta({ id: 'Health' });

export const Readiness = z
  .object({ status: z.enum(['healthy', 'unhealthy']), reasons: z.array(z.string()).optional() })
  .meta({ id: 'Readiness' });

export const Liveness = z.object({ status: z.literal('healthy') }).meta({ id: 'Liveness' });

export const Welcome = z
  .object({
    name: z.string(),
    version: z.string(),
    description: z.string(),
    links: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Welcome' });
