import type { ToolCallBlock } from '../messages/block.js';
import type { EventBody, ReplyContext } from './reply-context.js';
import { ToolError, type Tool, type ToolChunk } from './tool.js';
import { parseToolInput } from './toolkit.js';

const DEFAULT_MAX_OUTPUT = 200_000;
const TRUNCATED = '<<<TRUNCATED>>>';
const FAILED = 'The tool failed.';
const DECLINED = '<system-reminder>The user declined this tool call.</system-reminder>';

/** One call of a tool: its iterator, and the events its output makes. */
export class CallRun {
  iterator: AsyncIterator<ToolChunk> | null = null;
  private readonly tool: Tool | undefined;
  private left: number;
  private truncated = false;

  constructor(
    private readonly ctx: ReplyContext,
    readonly call: ToolCallBlock,
  ) {
    this.tool = ctx.request.toolkit.get(call.name);
    this.left = ctx.request.max_tool_output_chars ?? DEFAULT_MAX_OUTPUT;
  }

  /** A call that will be refused disturbs nobody either. */
  get concurrent(): boolean {
    return this.tool === undefined || this.declined || this.tool.is_concurrency_safe;
  }

  /** Null when the result was started by an earlier attempt. */
  start(): EventBody | null {
    const { id, name } = this.call;
    if (this.ctx.reply.result(id) !== undefined) return null;
    return { type: 'TOOL_RESULT_START', tool_call_id: id, tool_call_name: name };
  }

  /** Begins the call; or the events of its refusal. */
  open(): EventBody[] | null {
    const { tool, call } = this;
    if (this.declined) return this.end('denied', DECLINED);
    if (tool === undefined) return this.end('error', `There is no tool named "${call.name}".`);
    const parsed = parseToolInput(tool, call.input);
    if (!parsed.ok) return this.end('error', parsed.message);
    if (tool.is_external) return this.failed(new Error(`tool "${tool.name}" is not run here`));
    try {
      const output = tool.run(parsed.input, {
        tool_call_id: call.id,
        signal: this.ctx.signal,
        state: this.ctx.request.state,
      });
      this.iterator = output[Symbol.asyncIterator]();
      return null;
    } catch (error) {
      return this.failed(error);
    }
  }

  chunk(chunk: ToolChunk): EventBody[] {
    if (this.truncated) return [];
    const content = chunk.type === 'text' ? chunk.text : chunk.type === 'data' ? chunk.data : chunk.url;
    if (content === '') return [];
    if (content.length > this.left) {
      this.truncated = true;
      const note = this.text(TRUNCATED);
      const head = chunk.type === 'text' ? headOf(content, this.left) : '';
      return head === '' ? [note] : [this.text(head), note];
    }
    this.left -= content.length;
    if (chunk.type === 'text') return [this.text(content)];
    const base = { tool_call_id: this.call.id, block_id: this.ctx.request.newId(), media_type: chunk.media_type };
    const source = chunk.type === 'data' ? { data: chunk.data } : { url: chunk.url };
    return [{ type: 'TOOL_RESULT_DATA_DELTA', ...base, ...source }];
  }

  succeeded(): EventBody[] {
    return this.end('success', '');
  }

  failed(error: unknown): EventBody[] {
    if (!(error instanceof ToolError)) this.ctx.report(error);
    const message = error instanceof ToolError && error.message !== '' ? error.message : FAILED;
    const last = this.ctx.reply.result(this.call.id)?.output.at(-1);
    const limit = this.ctx.request.max_tool_output_chars ?? DEFAULT_MAX_OUTPUT;
    return this.end('error', `${last?.type === 'text' ? '\n' : ''}${headOf(message, limit)}`);
  }

  private get declined(): boolean {
    return this.call.state === 'finished';
  }

  private text(delta: string): EventBody {
    return { type: 'TOOL_RESULT_TEXT_DELTA', tool_call_id: this.call.id, delta };
  }

  private end(state: 'success' | 'error' | 'denied', text: string): EventBody[] {
    const end: EventBody = { type: 'TOOL_RESULT_END', tool_call_id: this.call.id, state };
    return text === '' ? [end] : [this.text(text), end];
  }
}

/** The first `length` units, without half of a surrogate pair at the end. */
function headOf(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length);
}
