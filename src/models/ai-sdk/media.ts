import type { LanguageModelV4FilePart, LanguageModelV4TextPart } from '@ai-sdk/provider';
import type { DataBlock } from '../../core/messages/block.js';

/** URLs a provider fetches by itself, by media type pattern (`image/*`). */
export type SupportedUrls = Record<string, RegExp[]>;

/** Which media reach a model. All of them are judged: what does not pass is named in words in its place. */
export interface MediaRules {
  /** Media types the model reads, from its card; null: unknown, so whatever the package carries goes through. */
  readonly input_types: readonly string[] | null;
  /** Types or patterns (`image/*`) that the provider package can put into a request. */
  readonly carries: readonly string[];
  /** What the package calls a type, where it insists on a name of its own. */
  readonly names?: Readonly<Record<string, string>>;
  /** Instead of what the package says of itself, where that is wrong. */
  readonly urls?: SupportedUrls;
  /** Files that the model itself made go back as such; otherwise they are only named. */
  readonly in_replies?: boolean;
}

/** The rules of one call, with the URLs the package says it supports. */
export interface MediaContext {
  readonly rules: MediaRules;
  readonly urls: SupportedUrls;
}

export type MediaPart = LanguageModelV4TextPart | LanguageModelV4FilePart;

/** Names and addresses come from outside; they are shortened where they are only mentioned. */
const MAX_MENTION = 256;

/** Different names of one type; cards, clients and packages each have their own habits. */
const ALIASES: Record<string, string> = {
  'image/jpg': 'image/jpeg',
  'image/pjpeg': 'image/jpeg',
  'audio/mp3': 'audio/mpeg',
  'audio/x-mp3': 'audio/mpeg',
  'audio/mpeg3': 'audio/mpeg',
  'audio/x-wav': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/vnd.wave': 'audio/wav',
  'audio/x-flac': 'audio/flac',
  'video/x-msvideo': 'video/avi',
  'application/x-pdf': 'application/pdf',
};

/** A data block as the model gets it: a file, the text it holds, or a reminder that it was left out. It never throws. */
export function toMediaPart(block: DataBlock, context: MediaContext): MediaPart {
  const { source, name } = block;
  const mediaType = canonical(source.media_type);
  if (source.type === 'base64' && isTextual(mediaType)) {
    const text = Buffer.from(source.data, 'base64').toString('utf8');
    return { type: 'text', text: name === null ? text : `${name}:\n${text}` };
  }
  if (!reads(mediaType, context.rules)) return reminder(block, 'this media type is not supported by this model');
  const file = {
    type: 'file',
    mediaType: context.rules.names?.[mediaType] ?? mediaType,
    ...(name !== null && { filename: name }),
  } as const;
  if (source.type === 'base64') return { ...file, data: { type: 'data', data: source.data } };
  if (!fetches(source.url, mediaType, context)) {
    return reminder(block, 'this model cannot fetch files of this media type from this address');
  }
  return { ...file, data: { type: 'url', url: new URL(source.url) } };
}

/** Says in a few words which file stood here. */
export function mention({ name, source }: DataBlock): string {
  const parts = [source.media_type, name, source.type === 'url' ? source.url : null];
  return `[${parts.flatMap((part) => (part === null ? [] : [plain(part)])).join(' ')}]`;
}

function reminder(block: DataBlock, reason: string): LanguageModelV4TextPart {
  return {
    type: 'text',
    text: `<system-reminder>The file ${mention(block)} was left out: ${reason}.</system-reminder>`,
  };
}

function reads(mediaType: string, { input_types, carries }: MediaRules): boolean {
  return matches(mediaType, carries) && (input_types === null || matches(mediaType, input_types));
}

function matches(mediaType: string, types: readonly string[]): boolean {
  return types.some((type) => {
    const known = canonical(type);
    return known === mediaType || known === '*/*' || known === `${topLevel(mediaType)}/*`;
  });
}

function fetches(url: string, mediaType: string, { rules, urls: ofPackage }: MediaContext): boolean {
  const urls = rules.urls ?? ofPackage;
  const keys = [mediaType, `${topLevel(mediaType)}/*`, '*/*', '*'];
  return keys.some((key) => urls[key]?.some((pattern) => pattern.test(url) || pattern.test(url.toLowerCase())));
}

function canonical(mediaType: string): string {
  const bare = (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();
  return ALIASES[bare] ?? bare;
}

function topLevel(mediaType: string): string {
  return mediaType.split('/', 1)[0] ?? '';
}

function isTextual(mediaType: string): boolean {
  return mediaType.startsWith('text/') || mediaType === 'application/json';
}

/** Short, on one line, and without what could end the reminder it stands in. */
function plain(text: string): string {
  const line = text.replace(/[<>\p{Cc}]+/gu, ' ').trim();
  return line.length > MAX_MENTION ? `${line.slice(0, MAX_MENTION)}…` : line;
}
