import { describe, expect, it } from '@jest/globals';
import { parseScript, type Turn } from './script.js';

const say = (text: string) => ({ kind: 'say' as const, text });

const CASES: [string, string, Turn[]][] = [
  ['an echo', 'Hello there', [{ steps: [say('You said: Hello there')], calls: [] }]],
  ['an echo of nothing', '', [{ steps: [say('You said: ')], calls: [] }]],
  ['an echo of unknown commands', '/nope x\n/sayx', [{ steps: [say('You said: /nope x\n/sayx')], calls: [] }]],
  ['an echo of an inherited name', '/constructor x', [{ steps: [say('You said: /constructor x')], calls: [] }]],
  ['say, kept exactly', '/say  two  spaces ', [{ steps: [say(' two  spaces ')], calls: [] }]],
  ['windows line ends', '/say a\r\n/say b', [{ steps: [say('a'), say('b')], calls: [] }]],
  [
    'plain lines between commands',
    '/say a\nplain\n\n/nope',
    [{ steps: [say('a'), say('plain'), say('/nope')], calls: [] }],
  ],
  ['think', '/think hard', [{ steps: [{ kind: 'think', text: 'hard' }], calls: [] }]],
  ['stream', '/stream 3', [{ steps: [{ kind: 'stream', count: 3, delay_ms: 0 }], calls: [] }]],
  ['stream with delay', '/stream 3 20', [{ steps: [{ kind: 'stream', count: 3, delay_ms: 20 }], calls: [] }]],
  ['sleep', '/sleep 3600000', [{ steps: [{ kind: 'sleep', ms: 3_600_000 }], calls: [] }]],
  ['fail', '/fail rate_limit', [{ steps: [{ kind: 'fail', type: 'rate_limit' }], calls: [] }]],
  ['a tool without input', '/tool now', [{ steps: [], calls: [{ name: 'now', input: '{}' }] }]],
  ['faulty input as written', '/tool f {"a": ', [{ steps: [], calls: [{ name: 'f', input: '{"a": ' }] }]],
  [
    'neighbouring tools as one group',
    '/say x\n/tool a {"n": 1}\n\n/tool b\n/say y',
    [
      {
        steps: [say('x')],
        calls: [
          { name: 'a', input: '{"n": 1}' },
          { name: 'b', input: '{}' },
        ],
      },
      { steps: [say('y')], calls: [] },
    ],
  ],
  [
    'tools separated by then',
    '/tool a\n/then\n/tool b\n/then',
    [
      { steps: [], calls: [{ name: 'a', input: '{}' }] },
      { steps: [], calls: [{ name: 'b', input: '{}' }] },
    ],
  ],
  ['then after words alone', '/then\n/say a\n/then\n/say b', [{ steps: [say('a'), say('b')], calls: [] }]],
  ['nothing but then', '/then', []],
];

describe('parseScript', () => {
  it.each(CASES)('reads %s', (_, text, turns) => {
    expect(parseScript(text)).toEqual(turns);
  });

  it.each([
    '/say',
    '/think ',
    '/tool',
    '/then now',
    '/stream',
    '/stream x',
    '/stream 100001',
    '/stream 1 -1',
    '/stream 1 2 3',
    '/sleep',
    '/sleep 1.5',
    '/sleep 3600001',
    '/fail',
    '/fail internal',
    '/fail toString',
  ])('says in words what is wrong with %j', (text) => {
    const [turn, ...more] = parseScript(text);
    expect(more).toEqual([]);
    expect(turn?.steps).toEqual([say(expect.stringMatching(/^\(\/[a-z]+ (needs|takes) .+\.\)$/) as unknown as string)]);
  });
});
