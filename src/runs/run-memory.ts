import { AgentState, type SessionState } from '../core/state/session-state.js';
import { storedState } from '../sessions/stored-state.js';
import type { Checkpoint, TakenRun } from './run.store.js';

type Change = Pick<Checkpoint, 'state' | 'state_before'>;

/** What a session remembers while a run works on it, and how much of that is on record. */
export class RunMemory {
  readonly state: AgentState;
  private readonly before: SessionState;
  private recorded: SessionState;

  constructor({ state, state_before }: Pick<TakenRun, 'state' | 'state_before'>) {
    this.recorded = storedState(state);
    this.before = state_before === null ? this.recorded : storedState(state_before);
    this.state = new AgentState(this.recorded);
  }

  /** What the next write is to carry. */
  get pending(): Change {
    const { value } = this.state;
    return value === this.recorded ? { state: null, state_before: null } : { state: value, state_before: this.before };
  }

  written({ state }: Change): void {
    if (state !== null) this.recorded = state;
  }
}
