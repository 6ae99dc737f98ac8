import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { InterruptBackend, InterruptSignal } from '../../src/interrupts/interrupt-backend.js';
import { eventually } from '../support/eventually.js';

/** Two processes of one service; a backend for a process that is alone is both of them. */
export interface InterruptNodes {
  readonly nodes: readonly [InterruptBackend, InterruptBackend];
  close(): Promise<void>;
}

export const stopSignal = (rest: Partial<InterruptSignal> = {}): InterruptSignal => ({
  tenant_id: 'acme',
  session_id: randomUUID(),
  run_id: randomUUID(),
  mode: 'interrupt',
  ...rest,
});

/** Every InterruptBackend passes this: call it at the top of a spec with a factory of your own. */
export function interruptBackendContract(name: string, open: () => Promise<InterruptNodes>): void {
  describe(`InterruptBackend: ${name}`, () => {
    let opened: InterruptNodes;
    let one: InterruptBackend;
    let two: InterruptBackend;
    beforeEach(async () => {
      opened = await open();
      [one, two] = opened.nodes;
    });
    afterEach(() => opened.close());

    it('carries a signal as it is to every listener of every process', async () => {
      const ears = [await listen(one), await listen(one), await listen(two)];
      const signals = [stopSignal(), stopSignal({ run_id: null, mode: 'rollback', tenant_id: 'a:b' })];
      for (const signal of signals) await one.publish(signal);
      for (const ear of ears) expect(await ear.heard(2)).toEqual(signals);
    });

    it('is heard from the moment on in which the subscription resolved, whoever publishes', async () => {
      for (let round = 0; round < 20; round++) {
        const ear = await listen(two);
        const signal = stopSignal();
        await (round % 2 ? one : two).publish(signal);
        expect(await ear.heard(1)).toEqual([signal]);
        ear.stop();
      }
    });

    it('is heard in order', async () => {
      const ear = await listen(two);
      const signals = Array.from({ length: 50 }, () => stopSignal());
      for (const signal of signals) await one.publish(signal);
      expect(await ear.heard(50)).toEqual(signals);
    });

    it('says nothing more to who stopped listening, and goes on for the others', async () => {
      const [gone, stays] = [await listen(one), await listen(one)];
      await two.publish(stopSignal());
      await Promise.all([gone.heard(1), stays.heard(1)]);
      gone.stop();
      gone.stop();
      const last = stopSignal();
      await two.publish(last);
      expect((await stays.heard(2))[1]).toEqual(last);
      expect(gone.signals).toHaveLength(1);
    });

    it('may be listened to again', async () => {
      (await listen(two)).stop();
      const ear = await listen(two);
      const signal = stopSignal();
      await one.publish(signal);
      expect(await ear.heard(1)).toEqual([signal]);
    });

    it('does not mind that nobody listens', async () => {
      await expect(one.publish(stopSignal())).resolves.toBeUndefined();
    });
  });
}

export async function listen(backend: InterruptBackend) {
  const signals: InterruptSignal[] = [];
  const stop = await backend.subscribe((signal) => signals.push(signal));
  const heard = (count: number) => eventually(() => (signals.length >= count ? [...signals] : undefined));
  return { signals, heard, stop: () => void stop() };
}
