import { describe, expect, it } from '@jest/globals';
import {
  callEnd,
  callStart,
  events,
  replyEnd,
  replyStart,
  textDelta,
  textEnd,
  textStart,
} from '../core/testing/event-builders.js';
import type { AgentEvent } from '../core/events/agent-event.js';
import { printable, Renderer } from './render.js';

const DIM = '\u001b[2m';
const RED = '\u001b[31m';
const OFF = '\u001b[0m';

function show(seen: AgentEvent[], colours = false): string {
  let text = '';
  const renderer = new Renderer((more) => (text += more), colours);
  for (const event of seen) renderer.event(event);
  return text;
}

const thinking = (delta: string) => [
  { type: 'THINKING_BLOCK_START', block_id: 'k' } as const,
  { type: 'THINKING_BLOCK_DELTA', block_id: 'k', delta } as const,
  { type: 'THINKING_BLOCK_END', block_id: 'k' } as const,
];
const callDelta = (delta: string, tool_call_id: string) => ({ type: 'TOOL_CALL_DELTA', tool_call_id, delta }) as const;
const result = (text: string, state: 'success' | 'error' | 'denied' = 'success') => [
  { type: 'TOOL_RESULT_START', tool_call_id: 'c', tool_call_name: 'tool' } as const,
  { type: 'TOOL_RESULT_TEXT_DELTA', tool_call_id: 'c', delta: text } as const,
  { type: 'TOOL_RESULT_END', tool_call_id: 'c', state } as const,
];

describe('the reply on a terminal', () => {
  it('writes text as it comes and ends with one line break', () => {
    const seen = events(replyStart(), textStart(), textDelta('Hello '), textDelta('you'), textEnd(), replyEnd());
    expect(show(seen)).toBe('Hello you\n');
    expect(show(seen.slice(0, 3))).toBe('Hello ');
  });

  it('begins every block on a line of its own', () => {
    const blocks = [textStart('a'), textDelta('one', 'a'), textEnd('a'), textStart('b'), textDelta('two', 'b')];
    expect(show(events(replyStart(), ...blocks, textEnd('b'), replyEnd()))).toBe('one\ntwo\n');
  });

  it('dims thinking where there are colours', () => {
    const seen = events(replyStart(), ...thinking('Hm.'), textStart(), textDelta('Yes'), textEnd(), replyEnd());
    expect(show(seen, true)).toBe(`${DIM}Hm.${OFF}\nYes\n`);
    expect(show(seen)).toBe('Hm.\nYes\n');
  });

  it('shows a tool call and its result as lines', () => {
    const calling = [textStart(), textDelta('Let me see'), textEnd(), callStart('c'), callDelta('{"a":', 'c')];
    const seen = events(replyStart(), ...calling, callDelta('1}', 'c'), callEnd('c'), ...result('2'), replyEnd());
    expect(show(seen)).toBe('Let me see\n→ tool {"a":1}\n← tool: 2\n');
  });

  it('keeps parallel calls apart', () => {
    const calling = [
      callStart('c'),
      callStart('d'),
      callDelta('1', 'c'),
      callDelta('2', 'd'),
      callEnd('c'),
      callEnd('d'),
    ];
    expect(show(events(replyStart(), ...calling))).toBe('→ tool 1\n→ tool 2\n');
  });

  it('says when a result is not a success', () => {
    expect(show(events(...result('no such file', 'error')), true)).toBe(`${RED}← tool (error): no such file\n${OFF}`);
    expect(show(events(...result('', 'denied')))).toBe('← tool (denied): \n');
  });

  it('shortens long results', () => {
    const text = show(events(...result('x'.repeat(5000))));
    expect(text).toMatch(/^← tool: x{2000}…\n$/);
  });

  it('shows an error in red, after what had been written', () => {
    const error = { type: 'rate_limit', message: 'Slow down.' } as const;
    const seen = events(replyStart(), textStart(), textDelta('Well'), textEnd(), replyEnd('error', { error }));
    expect(show(seen, true)).toBe(`Well\n${RED}Error (rate_limit): Slow down.\n${OFF}`);
    expect(show(seen)).toBe('Well\nError (rate_limit): Slow down.\n');
  });

  it('says that a reply was interrupted', () => {
    const seen = events(replyStart(), textStart(), textDelta('Wel'), textEnd(), replyEnd('interrupted'));
    expect(show(seen)).toBe('Wel\n(interrupted)\n');
  });

  it('lets no text of a model or a tool steer the terminal', () => {
    const nasty = '\u001b]0;title\u0007a\u001b[2Jb\u009b31mc\rd\u0000\te\nf';
    expect(printable(nasty)).toBe('abcd\te\nf');
    expect(show(events(textStart(), textDelta(nasty), textEnd()))).toBe('abcd\te\nf\n');
    expect(show(events(...result(nasty)))).toBe('← tool: abcd\te\nf\n');
  });

  it('shows text in the order in which it runs', () => {
    expect(printable('rm -rf \u202e/pmt\u202c \u2066x\u2069')).toBe('rm -rf /pmt x');
  });

  it('passes over what has nothing to show', () => {
    expect(show(events(replyStart(), { type: 'CUSTOM', name: 'whatever', value: {} }, replyEnd()))).toBe('');
  });
});
