import { z } from 'zod';
import { ToolError, type ServiceTool } from '../agent/tool.js';

const Input = z.object({
  timezone: z.string().max(64).describe('IANA time zone, e.g. "Europe/Berlin"; UTC by default').optional(),
});

/** Tells the time, in ISO-8601 with the offset of the zone, and the weekday. */
export function currentTimeTool(clock: () => Date = () => new Date()): ServiceTool {
  return {
    name: 'current_time',
    description: 'Tells the current date, time and weekday in a time zone.',
    input_schema: z.toJSONSchema(Input),
    is_read_only: true,
    is_concurrency_safe: true,
    is_idempotent: true,
    async *run(input) {
      const { timezone = 'UTC' } = Input.parse(input);
      yield { type: 'text', text: describeTime(clock(), timezone) };
    },
  };
}

function describeTime(now: Date, timezone: string): string {
  const parts = formatParts(now, timezone);
  const offset = parts.timeZoneName.slice('GMT'.length) || '+00:00';
  const { year, month, day, hour, minute, second, weekday } = parts;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}${offset} (${weekday}, ${timezone})`;
}

type Part = 'year' | 'month' | 'day' | 'hour' | 'minute' | 'second' | 'weekday' | 'timeZoneName';

function formatParts(now: Date, timeZone: string): Record<Part, string> {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      hourCycle: 'h23',
      weekday: 'long',
      timeZoneName: 'longOffset',
    });
  } catch {
    throw new ToolError(`"${timeZone}" is not a time zone. Use an IANA name such as "Europe/Berlin".`);
  }
  return Object.fromEntries(format.formatToParts(now).map(({ type, value }) => [type, value])) as Record<Part, string>;
}
