import { ModelError } from '../../../core/models/chat-model.js';

type Fetch = typeof globalThis.fetch;

/**
 * The provider package drops lines that it does not understand: an error that Ollama reports within a stream would pass for the end of
 * the answer, and so would a lost connection. Here both are failures. It also writes a message of nothing but images in a way that Ollama
 * does not read.
 */
export function ollamaFetch(fetch: Fetch): Fetch {
  return async (input, init) => {
    const body = init?.body;
    const response = await fetch(input, typeof body === 'string' ? { ...init, body: withTexts(body) } : init);
    const streams = response.headers.get('content-type')?.includes('ndjson') === true;
    if (!response.ok || response.body === null || !streams) return response;
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(checked()), { status, statusText, headers });
  };
}

/** `content` is a text; the package says `[]` where there is none. */
function withTexts(body: string): string {
  if (!body.includes('"content":[]')) return body;
  const request = JSON.parse(body) as { messages?: { content?: unknown }[] };
  const messages = request.messages?.map((it) => (Array.isArray(it.content) ? { ...it, content: '' } : it));
  return JSON.stringify({ ...request, messages });
}

function checked(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  let open = '';
  let done = false;
  const look = (line: string): void => {
    if (line.trim() === '') return;
    const { error, done: last } = parse(line);
    if (error !== undefined)
      throw new ModelError('upstream', typeof error === 'string' ? error : JSON.stringify(error));
    done ||= last === true;
  };
  return new TransformStream({
    transform(chunk, controller) {
      const lines = (open + decoder.decode(chunk, { stream: true })).split('\n');
      open = lines.pop() ?? '';
      for (const line of lines) look(line);
      controller.enqueue(chunk);
    },
    flush() {
      look(open);
      if (!done) throw new ModelError('connection', 'The stream ended before the model had finished.');
    },
  });
}

function parse(line: string): { error?: unknown; done?: unknown } {
  try {
    return JSON.parse(line) as { error?: unknown; done?: unknown };
  } catch {
    throw new ModelError('upstream', 'The answer is not JSON.');
  }
}
