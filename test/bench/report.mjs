import { median } from './meter.mjs';
import { OURS } from './servers.mjs';

const round = (value, digits) => (value === null ? '–' : value.toFixed(digits));
const count = (value) => (value === null ? '–' : Math.round(value).toLocaleString('en-US'));

/** Rates compare in what the case is about; replies of different servers hold different numbers of frames. */
const rates = (compared) => ({
  head: 'runs/s | events/s | first event p50 ms | p99 ms | server CPU ms/run',
  figures: {
    runs_per_second: (cell) => cell.runs_per_second,
    events_per_second: (cell) => cell.events_per_second,
    first_p50_ms: (cell) => cell.first_ms.p50,
    first_p99_ms: (cell) => cell.first_ms.p99,
    server_cpu_ms_per_run: (cell) => cell.server_cpu_ms_per_run,
    server_cpu_share: (cell) => cell.server_cpu_share,
    generator_cpu_share: (cell) => cell.generator_cpu_share,
  },
  compared: { ratio: compared, first_ratio: 'first_p50_ms' },
  ratios: 'Aerie ÷ this | first event',
  columns: (row) => [
    count(row.runs_per_second),
    count(row.events_per_second),
    round(row.first_p50_ms, 2),
    round(row.first_p99_ms, 2),
    round(row.server_cpu_ms_per_run, 2),
  ],
  inShort: (cell) => `${count(cell.runs_per_second)} runs/s, ${count(cell.events_per_second)} events/s`,
});

const IDLE = {
  head: 'RSS per stream KiB | RSS before MiB | with the streams MiB',
  figures: {
    rss_per_stream_kib: (cell) => cell.rss_per_stream_kib,
    rss_before_kib: (cell) => cell.rss_before_kib,
    rss_after_kib: (cell) => cell.rss_after_kib,
  },
  compared: { ratio: 'rss_per_stream_kib' },
  ratios: 'Aerie ÷ this',
  columns: (row) => [round(row.rss_per_stream_kib, 1), mebibytes(row.rss_before_kib), mebibytes(row.rss_after_kib)],
  inShort: (cell) => `${round(cell.rss_per_stream_kib, 1)} KiB per stream`,
};
const mebibytes = (kib) => count(kib === null ? null : kib / 1024);

const TURNS = {
  head: 'CPU ms of turns 1–20 | of 490–509 | late ÷ early | total ms of turns 1–20 | of 490–509 | late ÷ early',
  figures: {
    early_cpu_ms: (cell) => cell.early.cpu_ms,
    late_cpu_ms: (cell) => cell.late.cpu_ms,
    cpu_ratio: (cell) => cell.cpu_ratio,
    early_total_ms: (cell) => cell.early.total_ms,
    late_total_ms: (cell) => cell.late.total_ms,
    total_ratio: (cell) => cell.total_ratio,
  },
  compared: { ratio: 'late_cpu_ms', total_ratio_to_ours: 'late_total_ms' },
  ratios: 'late CPU: Aerie ÷ this | late total',
  columns: (row) => [
    round(row.early_cpu_ms, 2),
    round(row.late_cpu_ms, 2),
    round(row.cpu_ratio, 2),
    round(row.early_total_ms, 2),
    round(row.late_total_ms, 2),
    round(row.total_ratio, 2),
  ],
  inShort: (cell) => `late ÷ early: CPU ${round(cell.cpu_ratio, 2)}, total ${round(cell.total_ratio, 2)}`,
};

const EVENTS = rates('events_per_second');
const FORMS = { echo: rates('runs_per_second'), stream: EVENTS, fanout: EVENTS, idle: IDLE, turns: TURNS };

export const inShort = (name, cell) => FORMS[name].inShort(cell);

/** Medians over the rounds; a ratio is ours over the server's, taken round by round, since both met the same load of the machine. */
export function summarize(cells) {
  const groups = Map.groupBy(cells, (cell) => `${cell.case} ${cell.concurrency} ${cell.server}`);
  return [...groups.values()].map((group) => {
    const [{ case: name, concurrency, server, title }] = group;
    const { figures, compared } = FORMS[name];
    const ours = cells.filter((it) => it.server === OURS && it.case === name && it.concurrency === concurrency);
    const ratioOf = (figure) =>
      group.map((cell) => {
        const own = ours.find((it) => it.round === cell.round);
        return own && figure(own) !== null && figure(cell) > 0 ? figure(own) / figure(cell) : null;
      });
    const medians = Object.entries(figures).map(([key, figure]) => [key, median(group.map(figure))]);
    const ratios = Object.entries(compared).map(([key, of]) => [key, median(ratioOf(figures[of]))]);
    const errors = group.reduce((sum, cell) => sum + cell.errors, 0);
    const row = { case: name, concurrency, server, title, rounds: group.length, errors };
    return { ...row, ...Object.fromEntries([...medians, ...ratios]) };
  });
}

/** A table for each form of figures. */
export function markdown(rows) {
  const byHead = Map.groupBy(rows, (row) => FORMS[row.case].head);
  return [...byHead.values()].map(table).join('\n\n');
}

function table(rows) {
  const { head, ratios } = FORMS[rows[0].case];
  const titles = `${head} | ${ratios}`;
  const rule = '--:|'.repeat(titles.split(' | ').length);
  const lines = rows.map((row) => {
    const { columns, compared } = FORMS[row.case];
    const title = row.errors > 0 ? `${row.title} (${row.errors} errors)` : row.title;
    const compare = Object.keys(compared).map((key) => (row.server === OURS ? '' : round(row[key], 2)));
    return ['', row.case, row.concurrency, title, ...columns(row), ...compare, ''].join(' | ').trim();
  });
  return [`| case | c | server | ${titles} |`, `|---|--:|---|${rule}`, ...lines].join('\n');
}
