import { type OpenApi, resolve, type Route, type Schema } from './openapi.js';

export const KINDS = ['agent', 'credential', 'session', 'run', 'approval'] as const;
export type Kind = (typeof KINDS)[number];
export type Ids = Record<Kind, string>;

/** A place of a request that takes the id of something a caller owns. */
export interface Slot {
  readonly kind: Kind;
  /** `path.id`, `query.agent_id`, `body.chat_model_config.credential_id` */
  readonly at: string;
}

export interface BuiltRequest {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
}

/** First segment of a path to what its `{id}` names. */
const PATHS: Record<string, Kind> = {
  agent: 'agent',
  credential: 'credential',
  sessions: 'session',
  runs: 'run',
  approvals: 'approval',
};

/** Properties that name something a caller owns. */
const REFERENCES: Record<string, Kind> = { agent_id: 'agent', credential_id: 'credential', session_id: 'session' };

/** Names a client gives to what it makes, or that need not be there: they refer to nothing. */
const CHOSEN = new Set([
  'POST /sessions body.session_id',
  'POST /sessions/{id}/fork body.session_id',
  'POST /chat body.input.id',
  'POST /stop body.session_id',
  'POST /stop body.user_id',
  // What was used may be of something that is gone since.
  'GET /usage query.agent_id',
  'GET /usage query.session_id',
  'GET /usage query.credential_id',
  'GET /usage query.user_id',
]);

/** Ids of rows that are no resource of their own: they only mean something inside what the caller owns. */
const LOCAL = new Set(['before', 'cursor', 'message_id']);

/** Values of required properties, by name. */
const EXAMPLES: Record<string, unknown> = {
  name: 'walker',
  type: 'demo_credential',
  model: 'demo-1',
  content: 'hello',
  provider: 'demo_credential',
  path: 'demo-1',
  session_id: 'anything',
  user_id: 'alice',
  // Each is answered for itself: what is foreign is no error of the request.
  decisions: [{ id: '01a1ff96-81cd-7439-b9a3-de295642689b', decision: 'reject' }],
};

/** Query parameters without which an operation may be refused for what other operations have made. */
const ANYWAY: Record<string, Record<string, string>> = { 'DELETE /credential/{id}': { force: 'true' } };

/** Builds the request of any operation of a document; throws for what it does not know how to fill in. */
export class RequestBuilder {
  constructor(private readonly document: OpenApi) {}

  slots(route: Route): Slot[] {
    const slots: Slot[] = [];
    this.walk(route, (slot) => {
      slots.push(slot);
      return 'unused';
    });
    return slots;
  }

  /** With the ids of `own`, except where `foreign` says otherwise. */
  build(route: Route, own: Ids, foreign: { at?: string; id?: string } = {}): BuiltRequest {
    return this.walk(route, (slot) =>
      slot.at === foreign.at && foreign.id !== undefined ? foreign.id : own[slot.kind],
    );
  }

  private walk(route: Route, fill: (slot: Slot) => string): BuiltRequest {
    let path = route.path;
    const query = new URLSearchParams(ANYWAY[route.name]);
    for (const parameter of route.parameters ?? []) {
      const at = `${parameter.in}.${parameter.name}`;
      if (parameter.in === 'path') {
        const value =
          parameter.name === 'id'
            ? fill({ kind: this.pathKind(route, at), at })
            : String(this.example(route, at, parameter.name));
        path = path.replace(`{${parameter.name}}`, encodeURIComponent(value));
      } else if (parameter.in === 'query') {
        const kind = this.reference(route, at, parameter.name);
        if (kind) query.set(parameter.name, fill({ kind, at }));
        else if (parameter.required) query.set(parameter.name, String(this.example(route, at, parameter.name)));
      }
    }
    const schema = route.requestBody?.content['application/json']?.schema;
    const body = schema && this.value(route, schema, 'body', fill);
    return { method: route.method, path: query.size > 0 ? `${path}?${query.toString()}` : path, body };
  }

  private value(route: Route, given: Schema, at: string, fill: (slot: Slot) => string): unknown {
    const schema = resolve(this.document, given);
    const options = schema.anyOf ?? schema.oneOf;
    const name = at.slice(at.lastIndexOf('.') + 1);
    if (options) {
      const [first] = options;
      if (!first) throw unknown(route, at);
      return this.value(route, first, at, fill);
    }
    if (schema.type === 'object' && schema.properties) {
      const entries = Object.entries(schema.properties).flatMap(([key, property]) => {
        const inner = `${at}.${key}`;
        const kind = this.reference(route, inner, key);
        if (kind) return [[key, fill({ kind, at: inner })] as const];
        const wanted = schema.required?.includes(key) || this.refers(route, property, inner);
        return wanted ? [[key, this.value(route, property, inner, fill)] as const] : [];
      });
      return Object.fromEntries(entries);
    }
    if (schema.enum) return schema.enum[0];
    return this.example(route, at, name);
  }

  /** Whether a reference stands anywhere below. */
  private refers(route: Route, given: Schema, at: string): boolean {
    const schema = resolve(this.document, given);
    const below = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.items ? [schema.items] : [])];
    if (below.some((option) => this.refers(route, option, at))) return true;
    return Object.entries(schema.properties ?? {}).some(
      ([key, property]) =>
        this.reference(route, `${at}.${key}`, key) !== undefined || this.refers(route, property, `${at}.${key}`),
    );
  }

  private reference(route: Route, at: string, name: string): Kind | undefined {
    if (CHOSEN.has(`${route.name} ${at}`) || LOCAL.has(name)) return undefined;
    const kind = REFERENCES[name];
    if (kind === undefined && /(^|_)ids?$/.test(name) && !at.startsWith('body.input.')) throw unknown(route, at);
    return kind;
  }

  private pathKind(route: Route, at: string): Kind {
    const kind = PATHS[route.path.split('/')[1] ?? ''];
    if (!kind) throw unknown(route, at);
    return kind;
  }

  private example(route: Route, at: string, name: string): unknown {
    if (!(name in EXAMPLES)) throw unknown(route, at);
    return EXAMPLES[name];
  }
}

function unknown(route: Route, at: string): Error {
  return new Error(`${route.name}: teach the walk what to put at ${at} (test/support/request-builder.ts)`);
}
