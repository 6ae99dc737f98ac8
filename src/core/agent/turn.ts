import type { Msg } from '../messages/message.js';
import type { ToolSpec } from '../models/chat-model.js';

/** What a model is asked in one turn, whichever of the models answers. */
export interface Turn {
  readonly system: string;
  readonly messages: readonly Msg[];
  readonly tools: readonly ToolSpec[];
}
