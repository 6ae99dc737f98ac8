import { type Api, ApiError } from './api.js';

const AGENT = 'Chat';
const SESSION = 'chat-cli';
const CREDENTIAL_TYPE = 'demo_credential';

export interface Place {
  readonly session_id: string;
  readonly agent_id: string;
}

/** The session to talk in: the one of an earlier time, else a new one with the named agent or the demo one. */
export async function findPlace(api: Api, wanted: { agent?: string; session?: string }): Promise<Place> {
  const name = wanted.session ?? (wanted.agent ? `${SESSION}-${wanted.agent}` : SESSION);
  const found = await existing(api, name);
  if (found) {
    if (wanted.agent === undefined || wanted.agent === found.agent_id) return found;
    throw new ApiError(409, undefined, `The session "${name}" belongs to another agent.`);
  }
  const agent_id = wanted.agent ?? (await demoAgent(api));
  try {
    return { agent_id, session_id: await api.createSession(agent_id, name) };
  } catch (error) {
    // Another client of the same user was quicker.
    const other = error instanceof ApiError && error.code === 'session_exists' ? await existing(api, name) : undefined;
    if (other) return other;
    throw error;
  }
}

async function existing(api: Api, name: string): Promise<Place | undefined> {
  const session = await api.session(name);
  return session && { session_id: session.id, agent_id: session.agent_id };
}

async function demoAgent(api: Api): Promise<string> {
  for await (const { id, data } of api.agents()) if (data.name === AGENT) return id;
  return api.createAgent(AGENT, await demoCredential(api));
}

async function demoCredential(api: Api): Promise<string> {
  for await (const { id, data } of api.credentials()) if (data.type === CREDENTIAL_TYPE) return id;
  return api.createDemoCredential();
}
