export const median = (values) => {
  const sorted = values.filter((value) => value !== null && value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

const round = (value, digits) => (value === null ? '–' : value.toFixed(digits));
const count = (value) => (value === null ? '–' : Math.round(value).toLocaleString('en-US'));

/** Rates compare in what the case is about; replies of different servers hold different numbers of frames. */
const rateOf = { echo: 'runs_per_second', stream: 'events_per_second' };

/** Medians over the rounds; `ratio` is ours over the server's, taken round by round, since both met the same load of the machine. */
export function summarize(cells) {
  const groups = Map.groupBy(cells, (cell) => `${cell.case} ${cell.concurrency} ${cell.server}`);
  return [...groups.values()].map((group) => {
    const [{ case: name, concurrency, server, title }] = group;
    const rate = rateOf[name];
    const ours = cells.filter((it) => it.server === 'aerie' && it.case === name && it.concurrency === concurrency);
    const ratios = group.map((cell) => {
      const own = ours.find((it) => it.round === cell.round);
      return own && cell[rate] > 0 ? own[rate] / cell[rate] : null;
    });
    return {
      case: name,
      concurrency,
      server,
      title,
      rounds: group.length,
      errors: group.reduce((sum, cell) => sum + cell.errors, 0),
      runs_per_second: median(group.map((cell) => cell.runs_per_second)),
      events_per_second: median(group.map((cell) => cell.events_per_second)),
      first_p50_ms: median(group.map((cell) => cell.first_ms.p50)),
      first_p99_ms: median(group.map((cell) => cell.first_ms.p99)),
      server_cpu_ms_per_run: median(group.map((cell) => cell.server_cpu_ms_per_run)),
      server_cpu_share: median(group.map((cell) => cell.server_cpu_share)),
      generator_cpu_share: median(group.map((cell) => cell.generator_cpu_share)),
      ratio: median(ratios),
    };
  });
}

export function markdown(rows) {
  const head = [
    '| case | c | server | runs/s | events/s | first event p50 ms | p99 ms | server CPU ms/run | Aerie ÷ this |',
    '|---|--:|---|--:|--:|--:|--:|--:|--:|',
  ];
  const body = rows.map((row) =>
    [
      '',
      row.case,
      row.concurrency,
      row.errors > 0 ? `${row.title} (${row.errors} errors)` : row.title,
      count(row.runs_per_second),
      count(row.events_per_second),
      round(row.first_p50_ms, 2),
      round(row.first_p99_ms, 2),
      round(row.server_cpu_ms_per_run, 2),
      row.server === 'aerie' ? '' : round(row.ratio, 2),
      '',
    ]
      .join(' | ')
      .trim(),
  );
  return [...head, ...body].join('\n');
}
