import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CASES } from './clients.mjs';
import { BenchError } from './processes.mjs';
import { serversWith } from './servers.mjs';

const FLOORS = serversWith().map((server) => server.name);
export const USAGE = `npm run bench -- model-path    what our model path costs for each streamed delta, in this process
npm run bench -- loop          what the agent's loop costs for each turn and delta, in this process
npm run bench -- [options]
  --rounds N      rounds over all cells (3)
  --secs S        measured seconds per cell (3); idle and turns take as long as they take
  --warm S        seconds before that are not recorded (1)
  --against DIR   another built checkout of Aerie, measured beside this one as aerie-before
  --only A,B      servers (${FLOORS.join(', ')}, aerie-before), cases (${Object.keys(CASES).join(', ')}) or cells (echo-64)
  --out FILE      all measurements as JSON
  --profile DIR   a CPU profile of our service, written there at its end`;

export function options() {
  const text = { type: 'string' };
  const named = { rounds: text, secs: text, warm: text, against: text, only: text, out: text, profile: text };
  const { values } = parseArgs({ options: { ...named, help: { type: 'boolean' } } });
  const number = (name, fallback, least) => {
    const value = Number(values[name] ?? fallback);
    if (Number.isFinite(value) && value >= least) return value;
    throw new BenchError(`--${name}: must be a number of at least ${least}\n${USAGE}`);
  };
  const path = (name) => values[name] && resolve(values[name]);
  return {
    help: values.help,
    rounds: number('rounds', 3, 1),
    secs: number('secs', 3, 0.1),
    warm: number('warm', 1, 0),
    against: path('against'),
    ...selection(serversWith(path('against')), values.only?.split(',') ?? []),
    out: path('out'),
    profile: path('profile'),
  };
}

/** Names of servers narrow the servers, names of cases and cells the cells. Each cell has the servers it is measured on. */
function selection(known, names) {
  const all = Object.entries(CASES).flatMap(([name, { concurrency, ...rest }]) =>
    concurrency.map((c) => ({ ...rest, case: name, concurrency: c, names: [name, `${name}-${c}`] })),
  );
  const unknown = names.find(
    (name) => !known.some((server) => server.name === name) && !all.some((cell) => cell.names.includes(name)),
  );
  if (unknown !== undefined) throw new BenchError(`--only: there is no "${unknown}"\n${USAGE}`);
  const named = known.filter((server) => names.includes(server.name));
  const servers = named.length > 0 ? named : known;
  const wanted = all.filter((cell) => cell.names.some((name) => names.includes(name)));
  const cells = (wanted.length > 0 ? wanted : all)
    .map((cell) => ({ ...cell, servers: servers.filter((server) => isFor(cell, server)) }))
    .filter((cell) => cell.servers.length > 0);
  if (cells.length === 0) throw new BenchError('--only: none of these servers is measured in these cases');
  return { servers, cells };
}

const isFor = ({ floors }, server) => !server.floor || floors === undefined || floors.includes(server.name);
