import { expect, it } from '@jest/globals';
import { version } from 'uuid';
import { isUuid, newEventId, newId } from './ids.js';

it.each([
  ['rows', newId],
  ['events', newEventId],
])('makes distinct UUIDv7 for %s, over many refills of the pool', (_name, make) => {
  const ids = Array.from({ length: 5000 }, make);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.every((id) => isUuid(id) && version(id) === 7)).toBe(true);
});

it('orders the ids of rows as they were made', () => {
  const ids = Array.from({ length: 2000 }, newId);
  expect([...ids].sort()).toEqual(ids);
});
