import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { userMessage } from '../testing/event-builders.js';
import { eventSequences } from '../testing/event-sequences.js';
import { AgentEvent } from './agent-event.js';
import { expand } from './expand.js';
import { checkGrammar } from './grammar.js';
import { reduce, TranscriptReducer } from './reducer.js';

const RUNS = { numRuns: 1500 };

describe('expand', () => {
  it('folds back into every transcript that a grammatical sequence makes', () => {
    fc.assert(
      fc.property(eventSequences(), (events) => {
        const transcript = reduce(events);
        const before = structuredClone(transcript);
        expect(reduce(expand(transcript, { session_id: 's' }))).toEqual(transcript);
        expect(transcript).toEqual(before);
      }),
      RUNS,
    );
  });

  it('is itself grammatical, valid, and the same on every call', () => {
    fc.assert(
      fc.property(eventSequences(), (events) => {
        const transcript = reduce(events);
        const expanded = expand(transcript, { session_id: 's' });
        checkGrammar(expanded);
        expect(expand(transcript, { session_id: 's' })).toEqual(expanded);
        expect(new Set(expanded.map((event) => event.id)).size).toBe(expanded.length);
        for (const event of expanded) AgentEvent.parse(event);
      }),
      { numRuns: 300 },
    );
  });

  it('makes one delta of a text, closes the model call, and puts all usage on its end', () => {
    const at = '2026-01-01T00:00:00.000Z';
    const usage = {
      input_tokens: 5,
      output_tokens: 6,
      cache_input_tokens: 1,
      cache_creation_input_tokens: 2,
      reasoning_tokens: 3,
    };
    const reply = {
      ...userMessage('r', '', at),
      role: 'assistant' as const,
      name: 'agent',
      content: [{ type: 'text' as const, id: 'b', text: 'Hello', created_at: at, finished_at: at }],
      finished_reason: 'completed' as const,
      usage,
    };
    const events = expand([reply], { session_id: 's' });
    expect(events.map((event) => event.type)).toEqual([
      'REPLY_START',
      'MODEL_CALL_START',
      'TEXT_BLOCK_START',
      'TEXT_BLOCK_DELTA',
      'TEXT_BLOCK_END',
      'MODEL_CALL_END',
      'REPLY_END',
    ]);
    expect(events[3]).toMatchObject({ id: 'r:3', delta: 'Hello' });
    expect(events[5]).toMatchObject(usage);
    expect(events[5]).not.toHaveProperty('metadata');
    expect(reduce(expand([{ ...reply, usage: null }], { session_id: 's' }))[0]?.usage).toBeNull();
  });
});

describe('the generated sequences', () => {
  it('are accepted by the checker and leave nothing ignored', () => {
    fc.assert(
      fc.property(eventSequences(), (events) => {
        checkGrammar(events);
        const reducer = new TranscriptReducer();
        for (const event of events) reducer.apply(event);
        expect(reducer.ignored).toBe(0);
      }),
      RUNS,
    );
  });

  it('reach every type of event', () => {
    const types = new Set(
      fc.sample(eventSequences(), { numRuns: 1500, seed: 7 }).flatMap((events) => events.map((e) => e.type)),
    );
    expect(types.size).toBe(28);
  });

  it('can be cut anywhere: a fold continues from its own result', () => {
    fc.assert(
      fc.property(eventSequences(), fc.nat(120), (events, at) => {
        const prefix = reduce(events.slice(0, at));
        expect(reduce(events.slice(at), structuredClone(prefix))).toEqual(reduce(events));
      }),
      RUNS,
    );
  });

  it('share no mutable state with their transcript', () => {
    fc.assert(
      fc.property(eventSequences(), (events) => {
        const before = structuredClone(events);
        const reducer = new TranscriptReducer();
        for (const event of events) {
          reducer.apply(event);
          for (const message of reducer.messages) message.metadata['touched'] = true;
        }
        expect(events).toEqual(before);
      }),
      { numRuns: 300 },
    );
  });
});
