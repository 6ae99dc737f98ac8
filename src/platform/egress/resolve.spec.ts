import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { resolveByDns, resolveHost } from './resolve.js';

const A = 1;
const AAAA = 28;
const RECORDS: Record<string, Partial<Record<number, Buffer[]>>> = {
  'both.example': {
    [A]: [Buffer.from([93, 184, 215, 14]), Buffer.from([93, 184, 215, 15])],
    [AAAA]: [Buffer.from('26064700000000000000000000001111', 'hex')],
  },
  'four.example': { [A]: [Buffer.from([10, 0, 0, 1])] },
  'six.example': { [AAAA]: [Buffer.from('fd000ec2000000000000000000000254', 'hex')] },
  'empty.example': {},
};

let server: Socket;
let servers: string[];

/** A name server that knows the names above. */
beforeAll(async () => {
  server = createSocket('udp4');
  server.on('message', (query, { port, address }) => server.send(answerTo(query), port, address));
  server.bind(0, '127.0.0.1');
  await once(server, 'listening');
  servers = [`127.0.0.1:${server.address().port}`];
});
afterAll(async () => {
  server.close();
  await once(server, 'close');
});

function answerTo(query: Buffer): Buffer {
  let at = 12;
  const labels: string[] = [];
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('ascii', at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const known = RECORDS[labels.join('.').toLowerCase()];
  const records = known?.[type] ?? [];
  const head = Buffer.from(query.subarray(0, 12));
  head.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
  head.writeUInt16BE(records.length, 6);
  head.writeUInt16BE(0, 8);
  head.writeUInt16BE(0, 10);
  const answers = records.map((data) => {
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt32BE(60, 6);
    record.writeUInt16BE(data.length, 10);
    return Buffer.concat([record, data]);
  });
  return Buffer.concat([head, query.subarray(12, at + 5), ...answers]);
}

it.each([
  ['both.example', ['93.184.215.14', '93.184.215.15', '2606:4700::1111']],
  ['four.example', ['10.0.0.1']],
  ['six.example', ['fd00:ec2::254']],
])('gives all addresses of %s', async (host, addresses) => {
  expect((await resolveByDns(host, servers)).sort()).toEqual(addresses.sort());
});

it.each(['empty.example', 'unknown.example'])('fails for %s, which has none', async (host) => {
  await expect(resolveByDns(host, servers)).rejects.toMatchObject({ message: `${host} has no address` });
});

it('finds a trusted name as the machine does', async () => {
  const addresses = await resolveHost('localhost', true);
  expect(addresses.length).toBeGreaterThan(0);
  for (const address of addresses) expect(['127.0.0.1', '::1']).toContain(address);
});
