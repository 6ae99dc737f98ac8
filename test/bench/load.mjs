// Load generator: one cell in a process of its own. Takes a cell as JSON in its argument, prints its measurements as JSON.
import { CLIENTS } from './clients.mjs';
import { fanout } from './drivers/fanout.mjs';
import { idle } from './drivers/idle.mjs';
import { turns } from './drivers/turns.mjs';
import { users } from './drivers/users.mjs';
import { connect } from './exchange.mjs';

const DRIVERS = { users, fanout, idle, turns };

const cell = JSON.parse(process.argv[2]);
const client = CLIENTS[cell.client];
const result = await DRIVERS[cell.driver]({ cell, client, ...connect(cell.url, client.headers) });
process.stdout.write(JSON.stringify(result), () => process.exit(0));
