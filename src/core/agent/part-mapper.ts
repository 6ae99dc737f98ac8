import type { Metadata } from '../messages/block.js';
import { isStorable, storable, storableJson } from '../messages/storable.js';
import { ModelError, type ModelPart } from '../models/chat-model.js';
import { blockEnd } from './closing.js';
import type { EventBody } from './event-body.js';
import type { OpenBlock, ReplyContext } from './reply-context.js';

type StreamPart = Exclude<ModelPart, { type: 'finish' }>;

/**
 * Maps the parts of one model call to events. Part ids of text and thinking are only unique within a call and a kind, so their blocks get
 * ids of ours; a tool call keeps the provider's id unless the reply has used it.
 */
export class PartMapper {
  private readonly ids = {
    text: new Map<string, string>(),
    thinking: new Map<string, string>(),
    tool_call: new Map<string, string>(),
  };

  constructor(private readonly ctx: ReplyContext) {}

  /** One event, several, or none; to be emitted in order. */
  map(part: StreamPart): EventBody | EventBody[] | null {
    switch (part.type) {
      case 'text_delta':
        if (part.delta === '') return null;
        return { type: 'TEXT_BLOCK_DELTA', block_id: this.id('text', part.id), delta: part.delta };
      case 'thinking_delta':
        if (part.delta === '') return null;
        return { type: 'THINKING_BLOCK_DELTA', block_id: this.id('thinking', part.id), delta: part.delta };
      case 'tool_call_delta':
        if (part.delta === '') return null;
        return { type: 'TOOL_CALL_DELTA', tool_call_id: this.id('tool_call', part.id), delta: part.delta };
      case 'text_start':
        return { type: 'TEXT_BLOCK_START', block_id: this.begin('text', part.id, this.ctx.request.newId()) };
      case 'thinking_start':
        return { type: 'THINKING_BLOCK_START', block_id: this.begin('thinking', part.id, this.ctx.request.newId()) };
      case 'tool_call_start': {
        if (part.name === '') throw malformed('a tool call without a name');
        const tool_call_id = this.begin('tool_call', part.id, this.callId(part.id));
        return { type: 'TOOL_CALL_START', tool_call_id, tool_call_name: storable(part.name) };
      }
      case 'text_end':
        return this.end('text', part.id, part.metadata);
      case 'thinking_end':
        return this.end('thinking', part.id, part.metadata);
      case 'tool_call_end':
        return this.end('tool_call', part.id, part.metadata);
      case 'data': {
        const block_id = this.ctx.request.newId();
        const { data } = part;
        const media_type = storable(part.media_type);
        const start: EventBody = { type: 'DATA_BLOCK_START', block_id, media_type };
        const end: EventBody = { type: 'DATA_BLOCK_END', block_id };
        return data === '' ? [start, end] : [start, { type: 'DATA_BLOCK_DELTA', block_id, data, media_type }, end];
      }
    }
  }

  private begin(kind: OpenBlock, partId: string, blockId: string): string {
    if (this.ids[kind].has(partId)) throw malformed(`block ${partId} is started twice`);
    this.ids[kind].set(partId, blockId);
    this.ctx.openBlocks.set(blockId, kind);
    return blockId;
  }

  private id(kind: OpenBlock, partId: string): string {
    const id = this.ids[kind].get(partId);
    if (id === undefined) throw malformed(`block ${partId} is not open`);
    return id;
  }

  private end(kind: OpenBlock, partId: string, metadata: Metadata | undefined): EventBody {
    const id = this.id(kind, partId);
    this.ids[kind].delete(partId);
    this.ctx.openBlocks.delete(id);
    const body = blockEnd(id, kind);
    if (metadata === undefined || Object.keys(metadata).length === 0) return body;
    return { ...body, metadata: storableJson(metadata) as Metadata };
  }

  private callId(partId: string): string {
    const taken =
      partId === '' || partId.length > 256 || !isStorable(partId) || this.ctx.reply.block(partId) !== undefined;
    return taken ? this.ctx.request.newId() : partId;
  }
}

const malformed = (what: string): ModelError => new ModelError('upstream', `The stream is malformed: ${what}.`);
