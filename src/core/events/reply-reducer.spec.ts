import { describe, expect, it } from '@jest/globals';
import * as make from '../testing/event-builders.js';
import { at, call, events, toolResult } from '../testing/event-builders.js';
import { reduce } from './reducer.js';
import { applyToReply } from './reply-reducer.js';

type Bodies = Parameters<typeof events>;

const content = (...bodies: Bodies) => reduce(events(...bodies))[0]?.content;

/** A reply with one finished call. */
const called: Bodies = [make.replyStart(), make.modelStart, make.callStart(), make.callEnd(), make.modelEnd];
const rule = { tool_name: 'tool', rule_content: null, behavior: 'allow' as const, source: 's' };

describe('blocks', () => {
  it('grow and end, with metadata when there is some', () => {
    const end = { ...make.textEnd(), metadata: { k: 1 } };
    expect(content(make.replyStart(), make.textStart(), make.textDelta('a'), make.textDelta('b'), end)).toEqual([
      { type: 'text', id: 't', text: 'ab', created_at: at(1), finished_at: at(4), metadata: { k: 1 } },
    ]);
    const bare = content(make.replyStart(), make.textStart(), { ...make.textEnd(), metadata: {} });
    expect(bare?.[0]).not.toHaveProperty('metadata');
  });

  it('hold thinking and tool calls', () => {
    const thinking: Bodies = [
      { type: 'THINKING_BLOCK_START', block_id: 'k' },
      { type: 'THINKING_BLOCK_DELTA', block_id: 'k', delta: 'Hm' },
    ];
    const calls: Bodies = [
      make.callStart(),
      { type: 'TOOL_CALL_DELTA', tool_call_id: 'c', delta: '{}' },
      make.callEnd(),
    ];
    expect(content(make.replyStart(), ...thinking, ...calls)).toEqual([
      { type: 'thinking', id: 'k', thinking: 'Hm', created_at: at(1), finished_at: null },
      call('c', { created_at: at(3), finished_at: at(5) }),
    ]);
  });

  it.each([[['QQ==', 'Qg==', 'Q0Q=', 'RUZH']], [['QUJD', 'REVG', 'Rw==']], [['', 'QQ==', '', 'Qg==']]])(
    'join the bytes of data deltas %j',
    (deltas) => {
      const delta = (data: string) => ({ type: 'DATA_BLOCK_DELTA' as const, block_id: 'd', media_type: 'a/b', data });
      const start = { type: 'DATA_BLOCK_START' as const, block_id: 'd', media_type: 'a/b' };
      const bytes = Buffer.concat(deltas.map((data) => Buffer.from(data, 'base64')));
      expect(content(make.replyStart(), start, ...deltas.map(delta))).toMatchObject([
        { type: 'data', source: { type: 'base64', data: bytes.toString('base64'), media_type: 'a/b' }, name: null },
      ]);
    },
  );

  it('hold whole hints', () => {
    expect(content(make.replyStart(), make.hint())).toEqual([
      { type: 'hint', id: 'h', hint: 'Note', source: null, created_at: at(1), finished_at: at(1) },
    ]);
  });
});

describe('tool results', () => {
  it('collect text and data, and finish with their call', () => {
    const data = {
      type: 'TOOL_RESULT_DATA_DELTA' as const,
      tool_call_id: 'c',
      block_id: 'd',
      media_type: 'a/b',
      data: 'QQ==',
    };
    const end = { ...make.resultEnd('error'), metadata: { k: 1 } };
    const [one, result] =
      content(
        ...called,
        make.resultStart(),
        make.resultText('a'),
        make.resultText('b'),
        data,
        make.resultText('c'),
        end,
      ) ?? [];
    expect(one).toMatchObject({ state: 'finished' });
    expect(result).toEqual({
      ...toolResult('c', { state: 'error', created_at: at(5), finished_at: at(10), metadata: { k: 1 } }),
      output: [
        { type: 'text', id: 'c-0', text: 'ab', created_at: at(6), finished_at: at(10) },
        {
          type: 'data',
          id: 'd',
          name: null,
          source: { type: 'base64', data: 'QQ==', media_type: 'a/b' },
          created_at: at(8),
          finished_at: at(8),
        },
        { type: 'text', id: 'c-2', text: 'c', created_at: at(9), finished_at: at(10) },
      ],
    });
  });

  it('send text to the block it names, and never make an id twice', () => {
    const data = {
      type: 'TOOL_RESULT_DATA_DELTA' as const,
      tool_call_id: 'c',
      block_id: 'd',
      media_type: 'a/b',
      url: 'https://x.test/',
    };
    const output = [
      make.resultText('1', 'c-2'),
      make.resultText('2', 'y'),
      make.resultText('3', 'c-2'),
      make.resultText('4'),
      data,
    ];
    const bodies = [
      ...called,
      make.resultStart(),
      ...output.filter((body) => body !== output[1]),
      make.resultText('5'),
    ] as Bodies;
    expect(content(...bodies)?.[1]).toMatchObject({
      output: [{ id: 'c-2', text: '134' }, { id: 'd' }, { id: 'c-3', text: '5' }],
    });
    expect(content(...called, make.resultStart(), ...output)?.[1]).toMatchObject({
      output: [{ id: 'c-2', text: '13' }, { id: 'y', text: '24' }, { source: { type: 'url', url: 'https://x.test/' } }],
    });
  });
});

describe('questions and answers', () => {
  const asked: Bodies = [...called, make.confirm(call('c', { suggested_rules: [rule] }))];

  it('change the state of the call', () => {
    expect(content(...asked)).toMatchObject([{ state: 'asking', suggested_rules: [rule] }]);
    const edited = call('c', { name: 'other', input: '{"b":1}' });
    expect(content(...asked, make.answer(true, edited))).toMatchObject([
      { state: 'allowed', name: 'tool', input: '{"b":1}' },
    ]);
    expect(content(...asked, make.answer(false, edited))).toMatchObject([{ state: 'finished', input: '' }]);
    expect(content(...called, make.handOver(call('c')))).toMatchObject([{ state: 'submitted' }]);
  });

  it('take an external result, also in the place of a running one', () => {
    const given = toolResult('c', { state: 'error', finished_at: null });
    const whole = content(...called, make.handOver(call('c')), make.external(given));
    expect(whole).toMatchObject([{ state: 'finished' }, { state: 'error', finished_at: at(6) }]);
    const started = content(...called, make.handOver(call('c')), make.resultStart(), make.hint(), make.external(given));
    expect(started).toMatchObject([{ state: 'finished' }, { type: 'tool_result', state: 'error' }, { type: 'hint' }]);
  });
});

describe('a rewind', () => {
  const two: Bodies = [
    ...called,
    make.resultStart(),
    make.resultText('x'),
    make.resultEnd(),
    make.modelStart,
    make.textStart(),
    make.textEnd(),
    make.modelEnd,
    make.replyEnd(),
  ];
  const usage = {
    input_tokens: 9,
    output_tokens: 9,
    cache_input_tokens: 9,
    cache_creation_input_tokens: 9,
    reasoning_tokens: 9,
  };

  it('keeps the blocks it names and re-opens the reply', () => {
    const [reply] = reduce(events(...two, make.rewound(['c', 'result:c'])));
    expect(reply).toMatchObject({ finished_at: null, finished_reason: null, usage: { input_tokens: 2 } });
    expect(reply?.content).toMatchObject([{ type: 'tool_call', state: 'finished' }, { type: 'tool_result' }]);
  });

  it('turns a call without its result back to pending', () => {
    const [reply] = reduce(events(...two, make.rewound(['c'])));
    expect(reply?.content).toMatchObject([{ type: 'tool_call', state: 'pending' }]);
    expect(content(...called, make.confirm(call('c', { suggested_rules: [rule] })), make.rewound(['c']))).toMatchObject(
      [{ state: 'pending', suggested_rules: [] }],
    );
  });

  it.each([[usage], [null]])('sets the usage to %j when it is given', (value) => {
    expect(reduce(events(...two, make.rewound([], { usage: value })))[0]).toMatchObject({ content: [], usage: value });
  });

  it('lets withdrawn blocks come again', () => {
    expect(content(...two, make.rewound(['c']), make.resultStart(), make.resultText('y'))).toMatchObject([
      { type: 'tool_call' },
      { output: [{ text: 'y' }] },
    ]);
  });
});

describe('applyToReply', () => {
  it('folds into one message and ignores other replies', () => {
    const [start, open, delta, other] = events(make.replyStart(), make.textStart(), make.textDelta('a'), {
      ...make.textDelta('b'),
      reply_id: 'x',
    });
    const [message] = reduce(start === undefined ? [] : [start]);
    const applied = [open, delta, other].map((event) => message && event && applyToReply(message, event));
    expect(applied).toEqual([true, true, false]);
    expect(message?.content).toMatchObject([{ text: 'a' }]);
  });

  it('does not end a reply by an event that cannot be taken', () => {
    const [start, end] = events(make.replyStart(), make.replyEnd('completed', { structured_output: () => 1 }));
    const [message] = reduce(start === undefined ? [] : [start]);
    expect(() => message && end && applyToReply(message, end)).toThrow('could not be cloned');
    expect(message).toMatchObject({ finished_at: null, finished_reason: null });
  });
});
