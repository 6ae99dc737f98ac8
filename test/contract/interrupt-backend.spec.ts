import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LocalInterruptBackend } from '../../src/interrupts/interrupt-backend.js';
import { RedisInterruptBackend } from '../../src/interrupts/redis-interrupt-backend.js';
import { Resources } from '../../src/platform/lifecycle/resources.js';
import { INTERRUPT_CHANNEL } from '../../src/platform/redis/keys.js';
import { type BusConnections, openBus } from '../../src/platform/redis/redis.module.js';
import { eventually } from '../support/eventually.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { interruptBackendContract, type InterruptNodes, listen, stopSignal } from './interrupt-backend.js';

const sharedUrl = () => process.env.AERIE_TEST_REDIS_URL ?? '';

async function openNode(resources: Resources, url: string, onForeign: () => void = () => undefined) {
  const bus = await openBus(resources, url);
  return { bus, backend: new RedisInterruptBackend(bus.pubsub, onForeign) };
}

async function openRedisNodes(): Promise<InterruptNodes> {
  const resources = new Resources();
  const [one, two] = [await openNode(resources, sharedUrl()), await openNode(resources, sharedUrl())];
  return { nodes: [one.backend, two.backend], close: () => resources.stop() };
}

interruptBackendContract('local', async () => {
  const alone = new LocalInterruptBackend();
  return { nodes: [alone, alone], close: async () => undefined };
});

interruptBackendContract('redis', openRedisNodes);

describe('RedisInterruptBackend', () => {
  let resources: Resources;
  const servers: RedisServer[] = [];
  beforeEach(() => {
    resources = new Resources();
  });
  afterEach(async () => {
    await resources.stop();
    for (const server of servers.splice(0)) await server.stop();
  });

  async function startServer(options: { port?: number } = {}): Promise<RedisServer> {
    const server = await startRedis(options);
    servers.push(server);
    return server;
  }

  it('passes over what others publish on its channel, and reports it', async () => {
    let foreign = 0;
    const { bus, backend } = await openNode(resources, sharedUrl(), () => foreign++);
    const ear = await listen(backend);
    const strange = ['', 'x', '{', 'null', '[]', '{}', JSON.stringify({ ...stopSignal(), mode: 'kill' })];
    for (const message of strange) await bus.commands.publish(INTERRUPT_CHANNEL, message);
    await bus.commands.publish(INTERRUPT_CHANNEL, Buffer.from([0xff, 0xfe, 0x00]));
    const signal = stopSignal();
    await backend.publish(signal);
    expect(await ear.heard(1)).toEqual([signal]);
    expect(foreign).toBe(strange.length + 1);
  });

  it('refuses to publish what no listener would take', async () => {
    const { backend } = await openNode(resources, sharedUrl());
    const ear = await listen(backend);
    await expect(backend.publish(stopSignal({ mode: 'kill' as never }))).rejects.toThrow();
    const signal = stopSignal();
    await backend.publish(signal);
    expect(await ear.heard(1)).toEqual([signal]);
  });

  it('gives up within seconds while Redis is away, and is heard again when it is back', async () => {
    const first = await startServer();
    const [one, two] = [await openNode(resources, first.url), await openNode(resources, first.url)];
    const ear = await listen(two.backend);
    await first.kill();
    const asked = performance.now();
    const settled = await Promise.allSettled([
      one.backend.publish(stopSignal()),
      one.backend.subscribe(() => undefined),
    ]);
    expect(settled.map((it) => it.status)).toEqual(['rejected', 'rejected']);
    expect(performance.now() - asked).toBeLessThan(5000);
    await startServer({ port: first.port });
    await eventually(() => subscribers(one.bus).catch(() => undefined));
    const signal = stopSignal();
    await one.backend.publish(signal);
    await eventually(() => (ear.signals.some((it) => it.run_id === signal.run_id) ? true : undefined));
  });

  /** True when somebody listens again. */
  async function subscribers({ commands }: BusConnections): Promise<true | undefined> {
    const [, count] = (await commands.pubsub('NUMSUB', INTERRUPT_CHANNEL)) as [string, number];
    return count > 0 ? true : undefined;
  }
});
