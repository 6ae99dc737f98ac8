import type { BoundModel } from '../core/agent/reply-request.js';
import type { AgentEvent, EventOf } from '../core/events/agent-event.js';
import { costOf } from '../core/models/prices.js';
import { newId } from '../platform/ids.js';
import type { Assembly } from './assembler.js';
import type { ModelCallEntry } from './run.store.js';

/** The model calls of a reply that are over and not on record yet. They are put there with the write that follows them. */
export class ModelCallLedger {
  private calls: readonly ModelCallEntry[] = [];
  private begun: EventOf<'MODEL_CALL_START'> | null = null;

  constructor(private readonly assembly: Assembly | undefined) {}

  see(event: AgentEvent): void {
    if (event.type === 'MODEL_CALL_START') this.begun = event;
    else if (event.type === 'MODEL_CALL_END') this.end(event);
  }

  /** What the next write is to carry; `written` once it is on record. */
  get pending(): readonly ModelCallEntry[] {
    return this.calls;
  }

  written(calls: readonly ModelCallEntry[]): void {
    if (calls.length > 0) this.calls = this.calls.slice(calls.length);
  }

  private end(event: EventOf<'MODEL_CALL_END'>): void {
    const { begun, assembly } = this;
    this.begun = null;
    if (assembly === undefined) return;
    const bound = (event.is_fallback === true ? assembly.fallback : null) ?? assembly.model;
    const { input_tokens, output_tokens, cache_input_tokens, cache_creation_input_tokens, reasoning_tokens } = event;
    const call: ModelCallEntry = {
      id: newId(),
      agent_id: assembly.agent.id,
      user_id: assembly.principal.user_id,
      credential_id: bound.credential_id ?? null,
      provider: event.provider ?? bound.model.provider,
      model: event.model_name ?? bound.model.name,
      attempt: event.attempt ?? 1,
      is_fallback: event.is_fallback ?? false,
      outcome: outcomeOf(event),
      error_type: event.error_type ?? null,
      input_tokens,
      output_tokens,
      cache_input_tokens,
      cache_creation_input_tokens,
      reasoning_tokens,
      ...chargeOf(event, bound),
      started_at: begun?.created_at ?? event.created_at,
      ended_at: event.created_at,
    };
    // A new list: the one before may be on its way to the database.
    this.calls = [...this.calls, call];
  }
}

function outcomeOf({ finished_reason, error_type }: EventOf<'MODEL_CALL_END'>): ModelCallEntry['outcome'] {
  if (finished_reason === 'completed') return 'completed';
  return error_type === undefined ? 'interrupted' : 'failed';
}

function chargeOf(event: EventOf<'MODEL_CALL_END'>, { prices }: BoundModel) {
  return prices ? { cost: costOf(event, prices), currency: prices.currency } : { cost: null, currency: null };
}
