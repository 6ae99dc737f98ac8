import { NO_USAGE } from '../messages/message.js';
import type { ChatModel, ModelCall, ModelPart } from '../models/chat-model.js';

/** One step of a scripted call: a part, an error to throw, something to wait for, or `hang`: never to answer again, whatever the signal says. */
export type ScriptStep = ModelPart | Error | 'hang' | ((call: ModelCall) => Promise<void> | void);

/** A model that plays one script per call, and records the calls. */
export class ScriptedModel implements ChatModel {
  readonly provider = 'scripted';
  readonly calls: ModelCall[] = [];

  constructor(
    private readonly scripts: readonly (readonly ScriptStep[])[],
    readonly name = 'scripted',
  ) {}

  async *stream(call: ModelCall): AsyncGenerator<ModelPart> {
    const script = this.scripts[this.calls.length];
    this.calls.push(call);
    if (script === undefined) throw new Error(`There is no script for call ${this.calls.length}.`);
    for (const step of script) {
      if (step === 'hang') await new Promise<never>(() => undefined);
      else if (step instanceof Error) throw step;
      else if (typeof step === 'function') await step(call);
      else yield step;
    }
  }
}

/** The parts of a whole text block. */
export const text = (content: string, id = 't'): ModelPart[] => [
  { type: 'text_start', id },
  { type: 'text_delta', id, delta: content },
  { type: 'text_end', id },
];

/** The parts of a whole tool call. */
export const toolCall = (id: string, name: string, input: unknown = {}): ModelPart[] => [
  { type: 'tool_call_start', id, name },
  { type: 'tool_call_delta', id, delta: typeof input === 'string' ? input : JSON.stringify(input) },
  { type: 'tool_call_end', id },
];

export const finish = (input_tokens = 1, output_tokens = 1): ModelPart => ({
  type: 'finish',
  usage: { ...NO_USAGE, input_tokens, output_tokens },
});
