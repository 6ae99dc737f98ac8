import { describe, expect, it } from '@jest/globals';
import { EMPTY_STATE, type SessionState } from '../core/state/session-state.js';
import { storedState } from './stored-state.js';

const STATE: SessionState = {
  tasks_context: {
    tasks: [
      {
        id: '1',
        subject: 'Look',
        description: '',
        metadata: {},
        created_at: '2026-01-01T00:00:00.000Z',
        state: 'pending',
        owner: null,
        blocks: [],
        blocked_by: [],
      },
    ],
  },
  tools_context: { groups: { planning: false } },
  window_context: { summary: 's', from: { message_id: 'm', block: 2 }, compressions: 1, offloads: 0 },
};

describe('storedState', () => {
  it('gives back what was stored', () => {
    expect(storedState(STATE)).toEqual(STATE);
  });

  it.each([null, undefined, 'x', [], {}])('makes the defaults of %j', (value) => {
    expect(storedState(value)).toEqual(EMPTY_STATE);
  });

  it('keeps the parts it understands, and no others', () => {
    const value = { ...STATE, tasks_context: { tasks: 7 }, window_context: null, later: 1 };
    expect(storedState(value)).toEqual({ ...EMPTY_STATE, tools_context: STATE.tools_context });
  });
});
