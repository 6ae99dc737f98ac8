import { resultKey } from './reply-blocks.js';

export type Kind = 'text' | 'thinking' | 'data' | 'tool_call' | 'hint';

interface BlockState {
  kind: Kind;
  open: boolean;
  /** The model call it came from. */
  turn: number;
  /** Only calls leave the first of these. */
  call: 'ready' | 'asking' | 'submitted' | 'declined';
  result: 'none' | 'running' | 'ended';
}

/** What the ordering rules need to remember of one reply. */
export class ReplyState {
  inModelCall = false;
  rewound = false;
  openBlocks = 0;
  /** Calls without an ended result, open ones included. */
  unresolved = 0;
  /** Running results of calls that nobody outside works on. */
  runningResults = 0;
  private waitingCalls = 0;
  private turn = 0;
  private readonly blocks = new Map<string, BlockState>();

  constructor(readonly id: string) {}

  get waiting(): boolean {
    return this.waitingCalls > 0 && !this.inModelCall && this.runningResults === 0;
  }

  beginModelCall(): void {
    this.inModelCall = true;
    this.turn += 1;
  }

  add(id: string, kind: Kind): boolean {
    if (this.blocks.has(id)) return false;
    this.blocks.set(id, { kind, open: kind !== 'hint', turn: this.turn, call: 'ready', result: 'none' });
    if (kind === 'tool_call') this.unresolved += 1;
    return true;
  }

  isOpen(id: string, kind: Kind): boolean {
    const block = this.blocks.get(id);
    return block !== undefined && block.open && block.kind === kind;
  }

  close(id: string): void {
    const block = this.blocks.get(id);
    if (block === undefined) return;
    block.open = false;
    this.openBlocks -= 1;
  }

  startResult(id: string): boolean {
    const call = this.closedCall(id);
    if (call?.result !== 'none') return false;
    call.result = 'running';
    if (call.call !== 'submitted') this.runningResults += 1;
    return true;
  }

  isRunning(id: string): boolean {
    return this.blocks.get(id)?.result === 'running';
  }

  endResult(id: string): void {
    const call = this.blocks.get(id);
    if (call === undefined) return;
    if (call.call !== 'submitted') this.runningResults -= 1;
    this.setCall(call, 'ready');
    call.result = 'ended';
    this.unresolved -= 1;
  }

  /** A call whose result was started can still be handed out, but no longer be asked about. */
  require(id: string, state: 'asking' | 'submitted'): boolean {
    const call = this.closedCall(id);
    if (call === null || call.call === 'declined' || call.result === 'ended') return false;
    if (call.result === 'running') {
      if (state === 'asking') return false;
      if (call.call !== 'submitted') this.runningResults -= 1;
    }
    this.setCall(call, state);
    return true;
  }

  answer(id: string, confirmed: boolean): boolean {
    const call = this.blocks.get(id);
    if (call?.call !== 'asking') return false;
    this.setCall(call, confirmed ? 'ready' : 'declined');
    return true;
  }

  external(id: string): boolean {
    const call = this.blocks.get(id);
    if (call?.call !== 'submitted') return false;
    this.setCall(call, 'ready');
    call.result = 'ended';
    this.unresolved -= 1;
    return true;
  }

  /** Null, or why these blocks cannot be all that is kept. */
  rewind(keep: ReadonlySet<string>): string | null {
    let lastTurn = 0;
    let pendingTurn = Infinity;
    for (const [id, block] of this.blocks) {
      const keepResult = keep.has(resultKey(id));
      if (!keep.has(id)) {
        if (keepResult) return `the result of ${id} is kept without its call`;
        continue;
      }
      if (block.open) return `block ${id} is not finished`;
      if (keepResult && block.result === 'running' && block.call !== 'submitted')
        return `the result of ${id} is not finished`;
      if (block.kind === 'hint') continue;
      lastTurn = Math.max(lastTurn, block.turn);
      const resolved = keepResult && block.result === 'ended';
      if (block.kind === 'tool_call' && !resolved) pendingTurn = Math.min(pendingTurn, block.turn);
    }
    if (pendingTurn < lastTurn) return 'a call without a result is followed by another model turn';
    this.restart(keep);
    return null;
  }

  private restart(keep: ReadonlySet<string>): void {
    this.inModelCall = false;
    this.rewound = true;
    this.openBlocks = this.unresolved = this.runningResults = this.waitingCalls = 0;
    for (const [id, block] of this.blocks) {
      if (!keep.has(id)) {
        this.blocks.delete(id);
        continue;
      }
      if (block.kind !== 'tool_call') continue;
      if (!keep.has(resultKey(id)) || block.result === 'none') {
        block.result = 'none';
        block.call = 'ready';
      }
      if (block.result !== 'ended') this.unresolved += 1;
      if (block.call === 'submitted') this.waitingCalls += 1;
    }
  }

  private closedCall(id: string): BlockState | null {
    const block = this.blocks.get(id);
    return block?.kind === 'tool_call' && !block.open ? block : null;
  }

  private setCall(block: BlockState, state: BlockState['call']): void {
    const before = isWaiting(block.call) ? 1 : 0;
    block.call = state;
    this.waitingCalls += (isWaiting(state) ? 1 : 0) - before;
  }
}

const isWaiting = (state: BlockState['call']): boolean => state === 'asking' || state === 'submitted';
