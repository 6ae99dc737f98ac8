import { ModelError, type ModelPart } from '../../core/models/chat-model.js';
import type { RawReader } from './options.js';

/** What a model sends when it is asked for `pcm16`: 16 bits, one channel. */
const SAMPLES_PER_SECOND = 24_000;
const BYTES_PER_SAMPLE = 2;
const HEADER_BYTES = 44;
/** About ten minutes of speech. */
const MAX_BYTES = 32 * 1024 * 1024;
const BLOCK = 'spoken';

interface Spoken {
  readonly data?: unknown;
  readonly transcript?: unknown;
}

/** What a model of Chat Completions says aloud: its words as they come, and the sound as one WAV file at the end. */
export class SpokenAnswer implements RawReader {
  private readonly sound: Buffer[] = [];
  private bytes = 0;
  private saying = false;

  read(chunk: unknown): ModelPart[] {
    const { data, transcript } = spokenIn(chunk) ?? {};
    if (typeof data === 'string') this.keep(Buffer.from(data, 'base64'));
    if (typeof transcript !== 'string' || transcript === '') return [];
    const delta: ModelPart = { type: 'text_delta', id: BLOCK, delta: transcript };
    if (this.saying) return [delta];
    this.saying = true;
    return [{ type: 'text_start', id: BLOCK }, delta];
  }

  end(): ModelPart[] {
    const parts: ModelPart[] = this.saying ? [{ type: 'text_end', id: BLOCK }] : [];
    if (this.bytes > 0) {
      const wav = Buffer.concat([wavHeader(this.bytes), ...this.sound]);
      parts.push({ type: 'data', media_type: 'audio/wav', data: wav.toString('base64') });
    }
    return parts;
  }

  private keep(sound: Buffer): void {
    this.bytes += sound.length;
    if (this.bytes > MAX_BYTES)
      throw new ModelError('upstream', 'The model does not stop talking.', { retryable: false });
    this.sound.push(sound);
  }
}

function spokenIn(chunk: unknown): Spoken | undefined {
  const { choices } = (chunk ?? {}) as { choices?: readonly { delta?: { audio?: Spoken | null } | null }[] | null };
  return choices?.[0]?.delta?.audio ?? undefined;
}

/** RIFF header of uncompressed sound. */
function wavHeader(bytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(HEADER_BYTES - 8 + bytes, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(SAMPLES_PER_SECOND, 24);
  header.writeUInt32LE(SAMPLES_PER_SECOND * BYTES_PER_SAMPLE, 28);
  header.writeUInt16LE(BYTES_PER_SAMPLE, 32);
  header.writeUInt16LE(8 * BYTES_PER_SAMPLE, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(bytes, 40);
  return header;
}
