import { expect, it, jest } from '@jest/globals';
import type { ExecutionContext } from '@nestjs/common';
import { lastValueFrom, of } from 'rxjs';
import { WarningHeader } from './warning-header.js';

async function headersOf(warnings: { message: string }[]): Promise<unknown[][]> {
  const header = jest.fn();
  const context = { switchToHttp: () => ({ getResponse: () => ({ header }) }) } as unknown as ExecutionContext;
  const answer = { warnings };
  const interceptor = new WarningHeader();
  expect(await lastValueFrom(interceptor.intercept(context, { handle: () => of(answer) }))).toBe(answer);
  return header.mock.calls;
}

it.each([
  [[], []],
  [['a is old.'], ['299 - "a is old."']],
  [['a', 'b'], ['299 - "a", 299 - "b"']],
  [['say "x" \\ é\r\nset-cookie: a'], ['299 - "say \\"x\\" \\\\ ???set-cookie: a"']],
])('%j', async (messages, headers) => {
  const calls = await headersOf(messages.map((message) => ({ message })));
  expect(calls).toEqual(headers.map((value) => ['warning', value]));
});
