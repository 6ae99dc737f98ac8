import { describe, expect, it } from '@jest/globals';
import * as make from '../testing/event-builders.js';
import { at, call, events, toolResult, userMessage } from '../testing/event-builders.js';
import { reduce, TranscriptReducer } from './reducer.js';

type Bodies = Parameters<typeof events>;

/** A reply with one finished call. */
const called: Bodies = [make.replyStart(), make.modelStart, make.callStart(), make.callEnd(), make.modelEnd];

describe('TranscriptReducer', () => {
  it('makes a message of a reply', () => {
    const error = { type: 'upstream' as const, message: 'No.' };
    const start = make.replyStart({ metadata: { a: 1 } });
    expect(
      reduce(
        events(
          start,
          make.modelStart,
          make.modelEnd,
          make.modelStart,
          make.modelEnd,
          make.replyEnd('error', { error }),
        ),
      ),
    ).toEqual([
      {
        id: 'r',
        name: 'agent',
        role: 'assistant',
        content: [],
        metadata: { a: 1 },
        created_at: at(0),
        finished_at: at(5),
        finished_reason: 'error',
        usage: {
          input_tokens: 2,
          output_tokens: 4,
          cache_input_tokens: 6,
          cache_creation_input_tokens: 8,
          reasoning_tokens: 2,
        },
        error,
        structured_output: null,
      },
    ]);
  });

  it('adds no usage of a synthetic model call', () => {
    const synthetic = { ...make.modelEnd, metadata: { synthetic: true } };
    expect(reduce(events(make.replyStart(), make.modelStart, synthetic))[0]?.usage).toBeNull();
  });

  it('re-opens a known reply without clearing it', () => {
    const [reply] = reduce(
      events(make.replyStart(), make.hint(), make.replyEnd(), make.replyStart({ metadata: { b: 1 } })),
    );
    expect(reply).toMatchObject({
      created_at: at(0),
      finished_at: null,
      finished_reason: null,
      error: null,
      metadata: {},
    });
    expect(reply?.content).toHaveLength(1);
  });

  it('takes up user messages, idempotently by id', () => {
    const first = make.custom('user_message', { message: userMessage('u', 'one') });
    const again = make.custom('user_message', { message: userMessage('u', 'two') });
    const transcript = reduce(events(first, make.replyStart(), make.replyEnd(), again));
    expect(transcript.map((message) => message.id)).toEqual(['u', 'r']);
    expect(transcript[0]?.content).toMatchObject([{ text: 'two' }]);
  });

  it('removes a reply, which may begin anew', () => {
    const remove = make.custom('reply_removed', { reply_id: 'r' });
    expect(reduce(events(make.replyStart(), remove))).toEqual([]);
    expect(reduce(events(make.replyStart(), make.hint(), remove, make.replyStart()))[0]?.content).toEqual([]);
  });

  it.each<[string, Bodies]>([
    ['an event of an unknown reply', [make.textStart()]],
    ['a delta of an unknown block', [make.replyStart(), make.textDelta('x')]],
    ['a delta of another kind', [make.replyStart(), make.callStart('t'), make.textDelta('x')]],
    ['a delta after the end', [make.replyStart(), make.textStart(), make.textEnd(), make.textDelta('x')]],
    ['a second start', [make.replyStart(), make.textStart(), make.textStart()]],
    ['a second end', [make.replyStart(), make.textStart(), make.textEnd(), make.textEnd()]],
    ['an output of no result', [...called, make.resultText('x')]],
    ['an output after the end', [...called, make.resultStart(), make.resultEnd(), make.resultText('x')]],
    [
      'an empty data output',
      [
        ...called,
        make.resultStart(),
        { type: 'TOOL_RESULT_DATA_DELTA', tool_call_id: 'c', block_id: 'd', media_type: 'a/b' },
      ],
    ],
    ['a question about no call', [...called, make.confirm(call('x'))]],
    ['an answer to no question', [...called, make.answer(true)]],
    ['an external result of no call', [...called, make.external(toolResult('x'))]],
    ['a second external result', [...called, make.external(toolResult('c')), make.external(toolResult('c'))]],
    ['an external result that is not final', [...called, make.external(toolResult('c', { state: 'running' }))]],
    ['a malformed user message', [make.custom('user_message', { message: { id: 1 } })]],
    [
      'a user message that would replace a reply',
      [make.replyStart(), make.custom('user_message', { message: userMessage('r') })],
    ],
    ['a rewind of an unknown reply', [make.rewound([])]],
    ['a malformed rewind', [make.replyStart(), make.custom('reply_rewound', { reply_id: 'r' })]],
    ['a removal of an unknown reply', [make.custom('reply_removed', { reply_id: 'x' })]],
  ])('ignores and counts %s', (_, bodies) => {
    const all = events(...bodies);
    const reducer = new TranscriptReducer();
    for (const event of all.slice(0, -1)) reducer.apply(event);
    expect(reducer.ignored).toBe(0);
    const before = structuredClone(reducer.messages);
    for (const event of all.slice(-1)) reducer.apply(event);
    expect(reducer.ignored).toBe(1);
    expect(reducer.messages).toEqual(before);
  });

  it('ignores other custom events without counting them', () => {
    const reducer = new TranscriptReducer();
    for (const event of events(make.custom('gap', { up_to_seq: 1 }), make.custom('unheard_of'))) reducer.apply(event);
    expect(reducer).toMatchObject({ messages: [], ignored: 0 });
  });

  it('goes on from a stored transcript', () => {
    const stored = reduce(events(...called));
    reduce(events(make.resultStart()), stored);
    expect(stored[0]?.content).toMatchObject([{ type: 'tool_call' }, { type: 'tool_result', state: 'running' }]);
  });
});
