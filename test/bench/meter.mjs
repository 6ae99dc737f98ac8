import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;
const onLinux = process.platform === 'linux';

/** Processor seconds a process has used, where /proc tells. */
export function processorSeconds(pid) {
  if (!onLinux) return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The same of the threads that live now, not in ticks but in nanoseconds: exact while they sleep. */
export function threadMilliseconds(pid) {
  if (!onLinux) return undefined;
  const folder = `/proc/${pid}/task`;
  const times = readdirSync(folder).map((id) => parseInt(readFileSync(`${folder}/${id}/schedstat`, 'utf8'), 10));
  return times.reduce((sum, time) => sum + time, 0) / 1e6;
}

/** Resident memory of a process in KiB, where /proc tells. */
export function residentKib(pid) {
  if (!onLinux) return undefined;
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;

export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
}

export function median(values) {
  const sorted = values.filter((value) => value !== null && value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
