import type { ToolChunk } from '../agent/tool.js';
import type { DataSource } from '../messages/block.js';
import { storable } from '../messages/storable.js';
import { MAX_OFFLOAD_BYTES, type OffloadItem, type OffloadStore } from './offload-store.js';
import { headOf, plainName, reminder, TRUNCATED } from './text.js';
import type { TokenCounter } from './token-counter.js';

/** A larger file does not stand in a result but is put aside; in characters of base64. */
const MAX_INLINE_DATA = 1_000_000;
/** All files together that stand in one result, likewise: some are named to the model only, and cost next to no tokens. */
const MAX_INLINE_TOTAL = 20_000_000;
const MAX_URL = 8192;
/** Files of one result that are put aside. */
const MAX_FILES = 20;

export interface LimiterOptions {
  /** Tokens of the result that the model sees. */
  readonly limit: number;
  readonly counter: TokenCounter;
  /** Null: what does not fit is gone. */
  readonly offload: OffloadStore | null;
  /** Names the result in the session: the id of its reply and that of its call. */
  readonly name: string;
  readonly onError?: (error: unknown) => void;
}

export interface ResultEnd {
  /** To be added to the result; empty when all of it was passed on. */
  readonly text: string;
  /** Items that were put aside. */
  readonly offloads: number;
}

type DataChunk = Extract<ToolChunk, { type: 'data' }>;

/** Passes on what fits of the output of one tool call as it comes; the rest is kept, within bounds, until the call ends. */
export class ResultLimiter {
  /** Tokens that are left, without those of `uncounted`. */
  private left: number;
  /** Text that was passed on, and the most tokens it can be. It is counted only when the bound does not do. */
  private uncounted = '';
  private bound = 0;
  private truncated = false;
  /** Characters that were not passed on, and those of them that were not kept either. */
  private hidden = 0;
  private dropped = 0;
  private addresses = 0;
  private room = MAX_OFFLOAD_BYTES;
  private inlineRoom = MAX_INLINE_TOTAL;
  private readonly spool: string[] = [];
  private readonly files: DataChunk[] = [];
  private droppedFiles = 0;

  constructor(private readonly options: LimiterOptions) {
    this.left = options.limit;
  }

  /** What is to be passed on of a chunk. */
  take(chunk: ToolChunk): ToolChunk[] {
    switch (chunk.type) {
      case 'text':
        return chunk.text === '' ? [] : this.text(chunk.text);
      case 'data':
        if (this.isInline(chunk)) return [chunk];
        this.keepFile(chunk);
        return [];
      case 'url':
        if (chunk.url.length <= MAX_URL && this.fits(chunk)) return [chunk];
        this.addresses += 1;
        return [];
    }
  }

  /** Puts aside what was kept. Never rejects; to be called once, when the tool has ended. */
  async finish(): Promise<ResultEnd> {
    const notes: string[] = [];
    let offloads = 0;
    for (const file of this.files) {
      const content = Buffer.from(file.data, 'base64');
      const path = await this.put({ kind: 'data', name: '', media_type: file.media_type, content });
      if (path !== null) offloads += 1;
      notes.push(`${describe(file)} ${path === null ? 'is gone' : `is at ${path}`}.`);
    }
    if (this.droppedFiles > 0) notes.push(`Further files that are gone: ${this.droppedFiles}.`);
    if (this.addresses > 0) notes.push(`Addresses of files that were left out: ${this.addresses}.`);
    if (this.truncated) {
      const path = await this.putRest();
      if (path !== null) offloads += 1;
      notes.unshift(this.describeRest(path));
    }
    if (notes.length === 0) return { text: '', offloads };
    return { text: `${this.truncated ? `\n${TRUNCATED}` : ''}\n${reminder(notes.join(' '))}`, offloads };
  }

  private text(text: string): ToolChunk[] {
    if (this.truncated) return this.hide(text);
    const { counter } = this.options;
    const bound = counter.bound(text);
    if (this.bound + bound > this.left) this.settle();
    if (this.bound + bound <= this.left) {
      this.uncounted += text;
      this.bound += bound;
      return [{ type: 'text', text }];
    }
    const head = counter.head(text, this.left);
    this.left -= counter.text(head);
    if (head.length < text.length) this.hide(text.slice(head.length));
    return head === '' ? [] : [{ type: 'text', text: head }];
  }

  private isInline(chunk: DataChunk): boolean {
    const { length } = chunk.data;
    if (length > Math.min(MAX_INLINE_DATA, this.inlineRoom) || !this.fits({ ...chunk, type: 'base64' })) return false;
    this.inlineRoom -= length;
    return true;
  }

  /** Replaces the bound of what was passed on by its count. */
  private settle(): void {
    this.left -= this.options.counter.text(this.uncounted);
    this.uncounted = '';
    this.bound = 0;
  }

  /** A file may be too large for what is left, and what comes after it not. */
  private fits(source: DataSource): boolean {
    if (this.truncated) return false;
    const tokens = this.options.counter.data(source);
    if (this.bound + tokens > this.left) this.settle();
    if (this.bound + tokens > this.left) return false;
    this.left -= tokens;
    return true;
  }

  private hide(text: string): [] {
    this.truncated = true;
    this.hidden += text.length;
    const bytes = Buffer.byteLength(text);
    const kept = bytes <= this.room ? text : headOf(text, Math.floor(this.room / 3));
    // What follows a gap is not kept: it would look like one text.
    this.room = kept.length < text.length ? 0 : this.room - bytes;
    this.dropped += text.length - kept.length;
    if (kept !== '') this.spool.push(kept);
    return [];
  }

  private keepFile(file: DataChunk): void {
    const bytes = bytesOf(file);
    if (bytes > this.room || this.files.length === MAX_FILES) {
      this.droppedFiles += 1;
      return;
    }
    this.room -= bytes;
    this.files.push(file);
  }

  private describeRest(path: string | null): string {
    const rest = `The rest of this output, ${this.hidden} characters, was left out`;
    if (path === null) return `${rest} and is gone.`;
    const lost = this.dropped > 0 ? ` Of it, the last ${this.dropped} characters are gone.` : '';
    return `${rest}. It is at ${path}: read it with read_offloaded.${lost}`;
  }

  private async putRest(): Promise<string | null> {
    const content = storable(this.spool.join(''));
    if (content === '') return null;
    return this.put({ kind: 'tool_result', name: this.options.name, media_type: 'text/plain', content });
  }

  private async put(item: OffloadItem): Promise<string | null> {
    const { offload, onError } = this.options;
    if (offload === null) return null;
    try {
      const { path } = await offload.put(item);
      return path;
    } catch (error) {
      onError?.(error);
      return null;
    }
  }
}

const bytesOf = ({ data }: DataChunk): number => Math.floor((data.length * 3) / 4);

const describe = (file: DataChunk): string => `A file (${plainName(file.media_type)}, ${bytesOf(file)} bytes)`;
