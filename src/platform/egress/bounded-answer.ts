import { Response } from 'undici';

/** A server sent more than anybody would read. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge';
  readonly code = 'answer_too_large';
}

export interface AnswerLimits {
  /** Bytes of an answer that tells a failure: whoever gets it reads it as a whole. */
  readonly failure: number;
  /** Bytes of any other answer. */
  readonly answer: number;
  /** Bytes without a line break of any other answer: whoever parts a stream into events keeps an event until it is complete. */
  readonly line: number;
}

const MIB = 1024 * 1024;
export const ANSWER_LIMITS: AnswerLimits = { failure: MIB, answer: 256 * MIB, line: 32 * MIB };

const LINE_BREAK = 0x0a;

/** The same answer, whose body fails with `AnswerTooLarge` beyond the limits. They count what was sent compressed as it is read. */
export function boundedAnswer(response: Response, limits: AnswerLimits): Response {
  const { body, ok, status, statusText, headers } = response;
  if (body === null) return response;
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const [most, longest] = ok ? [limits.answer, limits.line] : [limits.failure, limits.failure];
  let size = 0;
  let line = 0;
  const bounded = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        const at = value.lastIndexOf(LINE_BREAK);
        size += value.length;
        line = at < 0 ? line + value.length : value.length - at - 1;
        if (size <= most && line <= longest) return controller.enqueue(value);
        const error = new AnswerTooLarge('The answer is too large.');
        controller.error(error);
        await reader.cancel(error);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(bounded, { status, statusText, headers });
}
