import type { AgentEvent } from '../core/events/agent-event.js';
import { GrammarChecker } from '../core/events/grammar.js';

/** Watches one reply; reports the first breach and then looks away. */
export class GrammarSample {
  private checker: GrammarChecker | undefined = new GrammarChecker();

  constructor(private readonly report: (error: unknown) => void) {}

  see(event: AgentEvent): void {
    try {
      this.checker?.accept(event);
    } catch (error) {
      this.checker = undefined;
      this.report(error);
    }
  }
}
