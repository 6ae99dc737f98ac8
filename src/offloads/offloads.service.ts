import { Injectable } from '@nestjs/common';
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { Principal } from '../auth/principal.js';
import {
  MAX_OFFLOAD_BYTES,
  type OffloadItem,
  type OffloadPiece,
  OffloadRefused,
  type OffloadStore,
} from '../core/context/offload-store.js';
import { storable } from '../core/messages/storable.js';
import { Config } from '../platform/config/config.js';
import { OffloadRecordStore } from './offload.store.js';

const BINARY = 'application/octet-stream';

/** Places outside the window of a model, one per session. */
@Injectable()
export class OffloadsService {
  constructor(
    private readonly records: OffloadRecordStore,
    private readonly config: Config,
  ) {}

  /** The place of one session; `sessionId` is its id, and what the caller may not see is not there. */
  of(principal: Principal, sessionId: string): OffloadStore {
    return new SessionOffloads(principal, sessionId, this.records, this.config.offload.max_bytes);
  }
}

class SessionOffloads implements OffloadStore {
  constructor(
    private readonly principal: Principal,
    private readonly sessionId: string,
    private readonly records: OffloadRecordStore,
    private readonly quota: number,
  ) {}

  async put(item: OffloadItem): Promise<{ path: string }> {
    const { principal, sessionId, records, quota } = this;
    const content = bytesOf(item);
    if (content.length > MAX_OFFLOAD_BYTES) throw new OffloadRefused(`it has more than ${MAX_OFFLOAD_BYTES} bytes`);
    const path = pathOf(item, content);
    // The same bytes under the name that is made of them: there is nothing to send.
    if (item.kind === 'data' && (await records.has(principal, sessionId, path))) return { path };
    const record = { path, media_type: mediaTypeOf(item, content), content };
    const outcome = await records.put(principal, sessionId, record, quota);
    if (outcome === 'stored') return { path };
    throw new OffloadRefused(outcome === 'full' ? 'this session has no room left' : 'there is no such session');
  }

  read(path: string, offset: number, limit: number): Promise<OffloadPiece | null> {
    return this.records.read(this.principal, this.sessionId, storable(path), offset, limit);
  }
}

const bytesOf = ({ content }: OffloadItem): Buffer =>
  typeof content === 'string' ? Buffer.from(storable(content)) : Buffer.from(content);

/** What says it is a text is read as one, so it has to be one. */
function mediaTypeOf({ media_type }: OffloadItem, content: Buffer): string {
  const type = storable(media_type.toLowerCase());
  return isUtf8(content) && !content.includes(0) ? type : type.replace(/^(text\/.*|application\/jsonl?)$/, BINARY);
}

function pathOf({ kind, name, media_type }: OffloadItem, content: Buffer): string {
  switch (kind) {
    case 'tool_result':
      return `tool_results/tool_result-${fileName(name)}.txt`;
    case 'context':
      return `context/${fileName(name)}.jsonl`;
    case 'data':
      return `data/${createHash('sha256').update(content).digest('hex')}.${extensionOf(media_type)}`;
  }
}

/** Names come from models and providers too; one that is not plain is told apart by a digest. */
function fileName(name: string): string {
  if (/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(name)) return name;
  const plain = name.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, 100);
  return `${plain}-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
}

function extensionOf(mediaType: string): string {
  const [, subtype = ''] = /^[a-z]+\/([a-z0-9]{1,10})(?:;|$)/i.exec(mediaType) ?? [];
  return subtype === '' ? 'bin' : subtype.toLowerCase();
}
