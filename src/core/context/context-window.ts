import type { DataBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { ToolSpec } from '../models/chat-model.js';
import type { WindowContext } from '../state/session-state.js';
import { imagesIn, withoutImages } from './images.js';
import type { OffloadStore } from './offload-store.js';
import { offloadData, offloadedPath } from './offloaded-data.js';
import { type CompressionPlan, planCompression } from './plan.js';
import type { TokenCounter } from './token-counter.js';
import { earlierView, withReply } from './window-view.js';

/** Of models whose card is not known. */
const DEFAULT_CONTEXT_SIZE = 128_000;

/** Share of the window that a summary may take, and the least a compression must free. */
const SUMMARY_RATIO = 0.1;
const MIN_GAIN_RATIO = 0.05;

export interface WindowOptions {
  /** Tokens; null: unknown, taken as 128,000. */
  readonly context_size: number | null;
  /** From which share of the window on the older part is compressed, and how much of the newest stays. */
  readonly trigger_ratio: number;
  readonly reserve_ratio: number;
  /** Newest images that are shown. */
  readonly max_image_num: number;
  /** That of the model, which many windows share. */
  readonly counter: TokenCounter;
  readonly offload: OffloadStore | null;
}

/** How one reply keeps its conversation within the window of its model. The history is the same array as long as it lives. */
export class ContextWindow {
  readonly counter: TokenCounter;
  readonly offload: OffloadStore | null;
  readonly context_size: number;
  readonly trigger_tokens: number;
  readonly summary_tokens: number;
  private earlier: { state: WindowContext; history: readonly Msg[]; view: readonly Msg[]; images: DataBlock[] } | null =
    null;

  private readonly tried = new WeakSet<DataBlock>();

  constructor(private readonly options: WindowOptions) {
    this.counter = options.counter;
    this.offload = options.offload;
    this.context_size = options.context_size ?? DEFAULT_CONTEXT_SIZE;
    this.trigger_tokens = Math.floor(options.trigger_ratio * this.context_size);
    this.summary_tokens = Math.floor(SUMMARY_RATIO * this.context_size);
  }

  /** What the model is to see; without anything to leave out that is the history itself, and a snapshot of the reply. */
  view(state: WindowContext, history: readonly Msg[], reply: Msg): readonly Msg[] {
    const earlier = this.earlierPart(state, history, reply.id);
    const view = withReply(state, earlier.view, reply);
    const dropped = this.droppedImages(earlier.images, view.slice(earlier.view.length));
    return dropped.length === 0 ? view : withoutImages(view, new Set(dropped), offloadedPath);
  }

  /** Whether there are images which the view leaves out without saying where they are. */
  hidesImages(state: WindowContext, history: readonly Msg[], reply: Msg): boolean {
    return this.offload !== null && this.hiddenImages(state, history, reply).length > 0;
  }

  /** Puts those aside. Rejects as the store does; an image it has refused is not tried again. */
  async offloadImages(state: WindowContext, history: readonly Msg[], reply: Msg): Promise<number> {
    let count = 0;
    for (const image of this.hiddenImages(state, history, reply)) {
      this.tried.add(image);
      if (this.offload !== null && (await offloadData(this.offload, image)) !== null) count += 1;
    }
    return count;
  }

  isOver(system: string, tools: readonly ToolSpec[], view: readonly Msg[]): boolean {
    return !this.counter.isBelow(this.trigger_tokens, system, tools, view);
  }

  plan(
    state: WindowContext,
    history: readonly Msg[],
    reply: Msg,
    call: { system: string; tools: readonly ToolSpec[] },
  ): CompressionPlan | null {
    const overhead = this.counter.overhead(call.system, call.tools);
    return planCompression(state, history, reply, this.counter, {
      reserve: Math.floor(this.options.reserve_ratio * this.context_size),
      room: this.trigger_tokens - this.summary_tokens - overhead,
      min_gain: Math.floor(MIN_GAIN_RATIO * this.context_size),
    });
  }

  /** The same for a model that turns out to take less. */
  within(tokens: number): ContextWindow {
    return new ContextWindow({ ...this.options, context_size: Math.min(tokens, this.context_size) });
  }

  private earlierPart(state: WindowContext, history: readonly Msg[], replyId: string) {
    const kept = this.earlier;
    if (kept !== null && kept.state === state && kept.history === history) return kept;
    const view = earlierView(state, history, replyId);
    return (this.earlier = { state, history, view, images: imagesIn(view) });
  }

  private hiddenImages(state: WindowContext, history: readonly Msg[], reply: Msg): DataBlock[] {
    const earlier = this.earlierPart(state, history, reply.id);
    const dropped = this.droppedImages(earlier.images, withReply(state, [], reply));
    return dropped.filter((image) => image.source.type === 'base64' && !this.tried.has(image) && !offloadedPath(image));
  }

  private droppedImages(earlier: readonly DataBlock[], own: readonly Msg[]): DataBlock[] {
    const later = imagesIn(own);
    const count = earlier.length + later.length - this.options.max_image_num;
    return count > 0 ? [...earlier, ...later].slice(0, count) : [];
  }
}
