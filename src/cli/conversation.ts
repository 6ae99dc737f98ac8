import type { EventOf } from '../core/events/agent-event.js';
import type { ToolCallBlock } from '../core/messages/block.js';
import { type Api, ApiError, type ConfirmResult } from './api.js';
import { EventFeed } from './event-feed.js';
import type { Renderer, ReplyEnd } from './render.js';

/** Asks the user whether a call may be made. */
export type Confirm = (call: ToolCallBlock) => Promise<boolean>;

/** One session, as seen by the terminal: says something and shows the reply until its end. */
export class Conversation {
  private feed: EventFeed | undefined;
  /** Something of the reply was seen: an interrupted run will say so itself. */
  private begun = false;
  private stopped = false;

  constructor(
    private readonly api: Api,
    private readonly session: string,
    private readonly renderer: Renderer,
    private readonly confirm: Confirm,
  ) {}

  async say(text: string): Promise<ReplyEnd> {
    // Open before the message is sent, so that nothing of the reply is missed.
    const feed = await EventFeed.open(this.api, this.session);
    this.feed = feed;
    this.begun = false;
    this.stopped = false;
    try {
      const { run_id } = await this.api.say(this.session, text);
      return await this.follow(feed, new Set([run_id]));
    } finally {
      feed.close();
      this.feed = undefined;
    }
  }

  /** Stops what the session is doing. A run that had not begun is cancelled without a word: then there is nothing to wait for. */
  async interrupt(): Promise<void> {
    const { feed } = this;
    this.stopped = true;
    await this.api.interrupt(this.session);
    if (!this.begun) feed?.close();
  }

  private async follow(feed: EventFeed, runs: Set<string>): Promise<ReplyEnd> {
    for await (const event of feed.events()) {
      if (event.type === 'CUSTOM' && event.run_id === undefined) {
        const end = await this.notice(event);
        if (end) return end;
      }
      // Other clients may talk in this session as well.
      if (event.run_id === undefined || !runs.has(event.run_id)) continue;
      this.begun = true;
      this.renderer.event(event);
      if (event.type === 'REQUIRE_USER_CONFIRM') await this.answer(event, runs);
      if (event.type === 'REPLY_END') return event.finished_reason;
    }
    this.renderer.line('(interrupted)', 'dim');
    return 'interrupted';
  }

  /** The reply goes on in a run of its own. */
  private async answer({ reply_id, tool_calls }: EventOf<'REQUIRE_USER_CONFIRM'>, runs: Set<string>): Promise<void> {
    const results: ConfirmResult[] = [];
    for (const tool_call of tool_calls) results.push({ tool_call, confirmed: await this.confirm(tool_call) });
    if (this.stopped) return;
    runs.add((await this.api.confirm(this.session, reply_id, results)).run_id);
  }

  /** What concerns the stream and not a reply. Gives the end of the reply when it lies in a stretch that is gone. */
  private async notice(event: EventOf<'CUSTOM'>): Promise<ReplyEnd | undefined> {
    if (event.name === 'session_deleted') throw new ApiError(404, 'session_not_found', 'The session was deleted.');
    if (event.name !== 'gap') return undefined;
    this.renderer.line('(some of the reply was missed; GET /sessions/{id}/messages has all of it)', 'dim');
    const { message, is_running } = await this.api.newest(this.session);
    return is_running ? undefined : (message?.finished_reason ?? undefined);
  }
}
