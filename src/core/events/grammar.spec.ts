import { describe, expect, it } from '@jest/globals';
import * as make from '../testing/event-builders.js';
import { call, events, toolResult, userMessage } from '../testing/event-builders.js';
import { checkGrammar, GrammarChecker, GrammarError } from './grammar.js';

type Bodies = Parameters<typeof events>;

const start = make.replyStart();
const user = make.custom('user_message', { message: userMessage('u') });
const turn = (...blocks: Bodies): Bodies => [make.modelStart, ...blocks, make.modelEnd];
const text: Bodies = [make.textStart(), make.textDelta('a'), make.textEnd()];
const toolCall = (id = 'c'): Bodies => [make.callStart(id), make.callEnd(id)];
const called: Bodies = [start, ...turn(...toolCall())];
const result: Bodies = [make.resultStart(), make.resultText('x'), make.resultEnd()];
const asked: Bodies = [...called, make.confirm(call('c'))];
const submitted: Bodies = [...called, make.handOver(call('c'))];
const interrupt: Bodies = [
  make.resultStart(),
  make.resultText('x'),
  make.resultEnd('interrupted'),
  make.replyEnd('interrupted'),
];
const removed = make.custom('reply_removed', { reply_id: 'r' });
const exceed = { type: 'EXCEED_MAX_ITERS', name: 'agent' } as const;
const stop = { type: 'USER_INTERRUPT' } as const;
const state = make.custom('state_updated');

describe('accepted', () => {
  it.each<[string, Bodies]>([
    ['nothing', []],
    ['a reply without a model call', [start, make.replyEnd('error')]],
    ['a text', [user, start, make.hint(), ...turn(...text), make.replyEnd()]],
    [
      'a reply that somebody goes on with behind a result',
      [...called, ...result, start, ...turn(...text), make.replyEnd()],
    ],
    [
      'interleaved blocks',
      [
        start,
        ...turn(make.textStart('a'), make.callStart(), make.textEnd('a'), make.callEnd()),
        ...result,
        make.replyEnd(),
      ],
    ],
    ['a failed call and its fallback', [start, ...turn(), ...turn(...text), make.replyEnd()]],
    ['a tool result and another turn', [...called, ...result, make.hint(), ...turn(...text), make.replyEnd()]],
    [
      'custom events and interrupts anywhere',
      [state, start, stop, make.modelStart, state, stop, make.modelEnd, make.replyEnd('interrupted')],
    ],
    [
      'interleaved results',
      [
        start,
        ...turn(...toolCall('a'), ...toolCall('b')),
        make.resultStart('a'),
        make.resultStart('b'),
        make.resultText('x', undefined, 'a'),
        make.resultEnd('success', 'b'),
        make.resultEnd('error', 'a'),
        make.replyEnd(),
      ],
    ],
    ['too many iterations', [...called, ...result, exceed, make.replyEnd('exceed_max_iters')]],
    [
      'two replies',
      [start, make.replyEnd(), { ...make.replyStart(), reply_id: 'r2' }, { ...make.replyEnd(), reply_id: 'r2' }],
    ],
    ['a parked reply', asked],
    ['a parked reply and a user message', [...asked, user]],
    ['an answered question', [...asked, make.answer(true), start, ...result, make.replyEnd()]],
    ['an answered question that waits for its turn', [...asked, make.answer(true)]],
    [
      'a declined call',
      [...asked, make.answer(false), start, make.resultStart(), make.resultEnd('denied'), make.replyEnd()],
    ],
    [
      'several questions',
      [start, ...turn(...toolCall('a'), ...toolCall('b')), make.confirm(call('a')), make.handOver(call('b'))],
    ],
    [
      'a hand-over after a start',
      [...called, make.resultStart(), make.handOver(call('c')), make.external(toolResult('c')), start, make.replyEnd()],
    ],
    [
      'an external result in deltas',
      [
        ...called,
        make.resultStart(),
        make.handOver(call('c')),
        start,
        make.resultText('x'),
        make.resultEnd(),
        make.replyEnd(),
      ],
    ],
    ['an interrupted parked reply', [...asked, stop, ...interrupt]],
    ['a stop between EXCEED_MAX_ITERS and the end', [start, exceed, state, stop, make.replyEnd('interrupted')]],
    ['a failed parked reply', [...asked, make.resultStart(), make.resultEnd('error'), make.replyEnd('error')]],
    [
      'a resumed reply that parks again',
      [
        start,
        ...turn(...toolCall(), ...toolCall('b')),
        make.confirm(call('c'), call('b')),
        make.answer(true),
        start,
        ...result,
      ],
    ],
    [
      'a rewind in mid-stream',
      [start, make.modelStart, make.textStart(), make.rewound([]), start, ...turn(...text), make.replyEnd()],
    ],
    ['a rewind that just goes on', [start, ...turn(...text), make.rewound(['t']), ...turn(), make.replyEnd()]],
    ['a rewind that withdraws a result', [...called, ...result, make.rewound(['c']), ...result, make.replyEnd()]],
    [
      'a rewind that keeps a result',
      [
        ...called,
        ...result,
        ...turn(make.textStart(), make.textEnd()),
        make.rewound(['c', 'result:c']),
        ...turn(...text),
        make.replyEnd(),
      ],
    ],
    ['a rewind after the end', [start, make.replyEnd(), make.rewound([]), make.replyEnd()]],
    ['a rewind between EXCEED_MAX_ITERS and the end', [start, exceed, make.rewound([]), make.replyEnd()]],
    [
      'a rewind that keeps a submitted result',
      [...called, make.resultStart(), make.handOver(call('c')), start, make.rewound(['c', 'result:c'])],
    ],
    ['a removed open reply', [start, make.modelStart, removed, user, start, make.replyEnd()]],
  ])('%s', (_, bodies) => {
    expect(() => checkGrammar(events(...bodies), { complete: true })).not.toThrow();
  });
});

describe('refused', () => {
  it.each<[string, Bodies, RegExp]>([
    ['a block without a reply', [make.textStart()], /no reply is open/],
    ['a second open reply', [start, { ...make.replyStart(), reply_id: 'r2' }], /the open reply is r/],
    ['a second reply beside a parked one', [...asked, { ...make.replyStart(), reply_id: 'r2' }], /the open reply is r/],
    ['a restart of a running reply', [start, start], /the reply is running/],
    ['a second restart behind a result', [...called, make.resultStart(), make.resultEnd(), start, start], /is running/],
    ['a restart beside a running tool', [...called, make.resultStart(), start], /the reply is running/],
    ['a second restart after a rewind', [start, make.rewound([]), start, start], /the reply is running/],
    ['a restart of an ended reply', [start, make.replyEnd(), start], /the reply has ended/],
    ['another reply id', [start, { ...make.modelStart, reply_id: 'x' }], /the open reply is r/],
    ['a block outside a model call', [start, make.textStart()], /no model call is open/],
    ['a call outside a model call', [start, make.callStart()], /no model call is open/],
    ['a model call within one', [start, make.modelStart, make.modelStart], /a model call is open/],
    ['an end of no model call', [start, make.modelEnd], /no model call is open/],
    [
      'an open block at the end of the model call',
      [start, make.modelStart, make.textStart(), make.modelEnd],
      /still open/,
    ],
    ['a used block id', [start, make.modelStart, ...text, make.textStart()], /id is taken/],
    ['a used block id of another kind', [start, ...turn(...text), make.hint('t')], /id is taken/],
    ['a delta of an unknown block', [start, make.modelStart, make.textDelta('x')], /not open/],
    ['a delta of a closed block', [start, make.modelStart, ...text, make.textDelta('x')], /not open/],
    ['a delta of another kind', [start, make.modelStart, make.callStart('t'), make.textDelta('x')], /not open/],
    ['a second end', [start, make.modelStart, ...text, make.textEnd()], /not open/],
    ['a hint in a model call', [start, make.modelStart, make.hint()], /a model call is open/],
    ['a result in a model call', [start, make.modelStart, ...toolCall(), make.resultStart()], /a model call is open/],
    ['a result of an unknown call', [...called, make.resultStart('x')], /unknown or has a result/],
    ['a second result', [...called, ...result, make.resultStart()], /unknown or has a result/],
    ['a result of a text', [start, ...turn(...text), make.resultStart('t')], /unknown or has a result/],
    ['an output before the start', [...called, make.resultText('x')], /not running/],
    ['an output after the end', [...called, ...result, make.resultText('x')], /not running/],
    ['a second end of a result', [...called, ...result, make.resultEnd()], /not running/],
    ['a turn before the results', [...called, make.modelStart], /no result yet/],
    ['an end before the results', [...called, make.replyEnd()], /no result yet/],
    ['an end with a running result', [...called, make.resultStart(), make.replyEnd()], /no result yet/],
    ['an end in a model call', [start, make.modelStart, make.replyEnd()], /a model call is open/],
    ['EXCEED_MAX_ITERS before the results', [...called, exceed], /no result yet/],
    ['something after EXCEED_MAX_ITERS', [start, exceed, make.modelStart], /only REPLY_END may follow/],
    ['a user message after EXCEED_MAX_ITERS', [start, exceed, user], /waits until no reply runs/],
    ['a hint after EXCEED_MAX_ITERS', [start, exceed, make.hint()], /only REPLY_END may follow/],
    ['another reason after EXCEED_MAX_ITERS', [start, exceed, make.replyEnd()], /EXCEED_MAX_ITERS/],
    ['a question about an unknown call', [...called, make.confirm(call('x'))], /cannot be asked for/],
    ['a question about a done call', [...called, ...result, make.confirm(call('c'))], /cannot be asked for/],
    [
      'a question about a running call',
      [...called, make.resultStart(), make.confirm(call('c'))],
      /cannot be asked for/,
    ],
    [
      'a question about a declined call',
      [...asked, make.answer(false), make.confirm(call('c'))],
      /cannot be asked for/,
    ],
    ['a question about nothing', [...called, make.confirm()], /names no call/],
    [
      'parking beside a running tool',
      [start, ...turn(...toolCall(), ...toolCall('b')), make.resultStart(), make.confirm(call('b'))],
      /a tool is running/,
    ],
    ['an answer to no question', [...called, make.answer(true)], /does not ask/],
    ['a second answer', [...asked, make.answer(true), make.answer(true)], /does not ask/],
    ['an external result of a local call', [...called, make.external(toolResult('c'))], /not submitted/],
    [
      'a second external result',
      [...submitted, make.external(toolResult('c')), make.external(toolResult('c'))],
      /not submitted/,
    ],
    [
      'an external result that is not final',
      [...submitted, make.external(toolResult('c', { state: 'running' }))],
      /not final/,
    ],
    ['a turn while parked', [...submitted, make.external(toolResult('c')), make.modelStart], /parked/],
    ['a hint while parked', [...asked, make.hint()], /parked/],
    ['a success while parked', [...asked, make.resultStart(), make.resultEnd()], /only be interrupted/],
    [
      'a completed end while parked',
      [...submitted, make.external(toolResult('c')), make.replyEnd()],
      /only be interrupted/,
    ],
    ['a user message in a running reply', [start, user], /waits until no reply runs/],
    ['a user message while a parked reply closes', [...asked, make.resultStart(), user], /waits until no reply runs/],
    [
      'a rewind of another reply',
      [start, make.custom('reply_rewound', { reply_id: 'x', keep_block_ids: [] })],
      /can be rewound/,
    ],
    ['a malformed rewind', [start, make.custom('reply_rewound', {})], /malformed/],
    ['a malformed removal', [start, make.custom('reply_removed', {})], /malformed/],
    [
      'a rewind that keeps an open block',
      [start, make.modelStart, make.textStart(), make.rewound(['t'])],
      /not finished/,
    ],
    [
      'a rewind that keeps a running result',
      [...called, make.resultStart(), make.rewound(['c', 'result:c'])],
      /not finished/,
    ],
    [
      'a rewind that keeps a result without its call',
      [...called, ...result, make.rewound(['result:c'])],
      /without its call/,
    ],
    [
      'a rewind that leaves a gap',
      [...called, ...result, ...turn(...text), make.rewound(['c', 't'])],
      /followed by another model turn/,
    ],
    [
      'a rewound call that is not run again',
      [...called, ...result, make.rewound(['c']), make.replyEnd()],
      /no result yet/,
    ],
  ])('%s', (_, bodies, reason) => {
    const all = events(...bodies);
    const checker = new GrammarChecker();
    for (const event of all.slice(0, -1)) checker.accept(event);
    expect(() => all.slice(-1).forEach((event) => checker.accept(event))).toThrow(GrammarError);
    expect(() => checkGrammar(all)).toThrow(reason);
  });

  it.each<[string, Bodies]>([
    ['an open reply', [start]],
    ['an open model call', [start, make.modelStart]],
    ['a call without a result', called],
    ['a running tool', [...called, make.resultStart()]],
    ['a resumed reply', [...asked, make.answer(true), start]],
  ])('%s is not complete', (_, bodies) => {
    expect(() => checkGrammar(events(...bodies))).not.toThrow();
    expect(() => checkGrammar(events(...bodies), { complete: true })).toThrow(/middle of a reply/);
  });
});

describe('GrammarChecker', () => {
  it('tells which reply is open and whether it is parked', () => {
    const checker = new GrammarChecker();
    const seen = events(...asked, make.answer(true), start, ...result, make.replyEnd()).map((event) => {
      checker.accept(event);
      return [checker.openReply, checker.parked, checker.complete];
    });
    expect(seen[0]).toEqual(['r', false, false]);
    expect(seen.filter(([, parked]) => parked)).toHaveLength(2);
    expect(seen.at(-1)).toEqual([null, false, true]);
  });
});
