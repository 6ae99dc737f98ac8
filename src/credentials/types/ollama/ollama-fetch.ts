import { ModelError } from '../../../core/models/chat-model.js';
import { filteredFetch, type StreamFilter } from '../stream-fetch.js';

type Fetch = typeof globalThis.fetch;

/**
 * The provider package drops lines that it does not understand: an error that Ollama reports within a stream would pass for the end of
 * the answer, and so would a lost connection. Here both are failures. It also writes a message of nothing but images in a way that Ollama
 * does not read.
 */
export function ollamaFetch(fetch: Fetch): Fetch {
  const withText: Fetch = (input, init) => {
    const body = init?.body;
    return fetch(input, typeof body === 'string' ? { ...init, body: withTexts(body) } : init);
  };
  return filteredFetch(withText, 'ndjson', () => new Lines());
}

/** `content` is a text; the package says `[]` where there is none. */
function withTexts(body: string): string {
  if (!body.includes('"content":[]')) return body;
  const request = JSON.parse(body) as { messages?: { content?: unknown }[] };
  const messages = request.messages?.map((it) => (Array.isArray(it.content) ? { ...it, content: '' } : it));
  return JSON.stringify({ ...request, messages });
}

/** Passes on the same bytes up to the line that is wrong; then comes the failure. */
class Lines implements StreamFilter {
  private readonly decoder = new TextDecoder();
  private readonly encoder = new TextEncoder();
  private open = '';
  private done = false;
  private failure: ModelError | undefined;

  /** The complete lines that are well, ready to be passed on. */
  push(chunk: Uint8Array): Uint8Array {
    const text = this.decoder.decode(chunk, { stream: true });
    // A line that comes in many pieces is looked at once, when it is complete.
    if (!text.includes('\n')) {
      this.open += text;
      return new Uint8Array();
    }
    const lines = (this.open + text).split('\n');
    this.open = lines.pop() ?? '';
    const well: string[] = [];
    for (const line of lines) {
      if (!this.look(line)) break;
      well.push(`${line}\n`);
    }
    return this.encoder.encode(well.join(''));
  }

  check(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  /** What was left without a line break. */
  end(): Uint8Array {
    const rest = this.push(this.encoder.encode('\n'));
    if (!this.done) this.failure ??= new ModelError('connection', 'The stream ended before the model had finished.');
    this.check();
    return rest;
  }

  private look(line: string): boolean {
    if (line.trim() === '') return true;
    const { error, done } = parse(line);
    if (error !== undefined) {
      this.failure = new ModelError('upstream', typeof error === 'string' ? error : 'The model ended with an error.');
    }
    this.done ||= done === true;
    return error === undefined;
  }
}

/** A line that is no JSON is an error, too. */
function parse(line: string): { error?: unknown; done?: unknown } {
  try {
    return JSON.parse(line) as { error?: unknown; done?: unknown };
  } catch {
    return { error: 'The answer is not JSON.' };
  }
}
