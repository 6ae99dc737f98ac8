import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { AgentsService } from '../agents/agents.service.js';
import { Principal } from '../auth/principal.js';
import type { EventLog } from '../events/event-log.js';
import type { InterruptBackend } from '../interrupts/interrupt-backend.js';
import type { ModelChoiceService } from '../models/model-choice.service.js';
import type { JobQueues } from '../platform/queue/job-queues.js';
import { permissionsOf } from './session-permissions.js';
import { PatchSession, SessionConfig } from './session.schema.js';
import type { SessionStore, StatefulRecord } from './session.store.js';
import { SessionsService } from './sessions.service.js';

const alice = new Principal('acme', 'alice');
const rule = { tool_name: 'Bash', rule_content: 'ls:*', behavior: 'allow', source: 'user' };

let config: SessionConfig;
let sessions: SessionsService;
const listener = jest.fn(() => Promise.resolve());

/** A store of one session; its changes are made on what is stored, which may be newer than what was read. */
const store = {
  record: () => ({ id: 's', config, state: {}, created_at: new Date(), updated_at: new Date() }) as StatefulRecord,
  get: () => Promise.resolve(store.record()),
  update: (_principal: Principal, _id: string, change: (config: SessionConfig) => SessionConfig) => {
    config = change(config);
    return Promise.resolve(store.record());
  },
};
const models = { check: () => Promise.resolve(), warnings: () => [] };

beforeEach(() => {
  listener.mockClear();
  config = SessionConfig.parse({
    name: 's',
    chat_model_config: null,
    fallback_chat_model_config: null,
    permission_mode: 'default',
    permission_rules: [rule],
    disabled_tools: [],
    metadata: {},
  });
  sessions = new SessionsService(
    store as unknown as SessionStore,
    {} as AgentsService,
    models as unknown as ModelChoiceService,
    {} as EventLog,
    {} as InterruptBackend,
    {} as JobQueues,
  );
  sessions.onPermissionsChanged(listener);
});

const patch = (body: object) => sessions.update(alice, 's', PatchSession.parse(body));

describe('a PATCH', () => {
  it.each([
    ['the mode', { permission_mode: 'explore' }],
    ['the rules', { permission_rules: [] }],
    ['a rule', { permission_rules: [{ ...rule, behavior: 'deny' }] }],
  ])('that changes %s is told, with what held and what holds now', async (_name, body) => {
    const before = permissionsOf(config);
    await patch(body);
    expect(listener.mock.calls).toEqual([[alice, 's', before, permissionsOf(config)]]);
  });

  it.each([
    ['says what holds already', { permission_mode: 'default', permission_rules: [rule] }],
    ['is about something else', { name: 't', metadata: { a: '1' }, disabled_tools: ['x'] }],
  ])('that %s is not', async (_name, body) => {
    await patch(body);
    expect(listener).not.toHaveBeenCalled();
  });

  it('fails when it could not be told', async () => {
    listener.mockRejectedValueOnce(new Error('away'));
    await expect(patch({ permission_mode: 'explore' })).rejects.toThrow('away');
  });
});
