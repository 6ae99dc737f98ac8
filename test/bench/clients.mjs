/**
 * How the load generator talks to each kind of server. Everywhere the same user: says `text`, and the run is over with the frame that
 * holds `end`. With `stream` a user follows one long-lived stream and the POST only triggers; without, the POST's answer is the stream.
 */
export const CLIENTS = {
  aerie: {
    headers: { 'x-user-id': 'bench' },
    end: '"type":"REPLY_END"',
    prepare: async (api) => {
      const { credential_id } = await api('POST', '/credential', { data: { type: 'demo_credential' } });
      const chat_model_config = { type: 'demo_credential', credential_id, model: 'demo-1' };
      return api('POST', '/agent', { name: 'bench', chat_model_config });
    },
    open: async (api, { agent_id }) => (await api('POST', '/sessions', { agent_id })).session_id,
    stream: (session) => `/sessions/${session}/stream?after=latest`,
    run: (session, text) => ({ path: '/chat', body: { session_id: session, input: { content: text } } }),
    close: (api, session) => api('DELETE', `/sessions/${session}`),
  },
  trigger: {
    headers: {},
    end: '"type":"RUN_FINISHED"',
    prepare: async () => ({}),
    open: async (api) => (await api('POST', '/sessions', {})).session_id,
    stream: (session) => `/sessions/${session}/stream`,
    run: (session, text) => ({ path: '/chat', body: { session_id: session, input: { content: text } } }),
    close: async () => undefined,
  },
  sse: {
    headers: {},
    end: '"type":"RUN_FINISHED"',
    prepare: async () => ({}),
    open: async () => undefined,
    run: (_session, text) => ({ path: '/run', body: { input: { content: text } } }),
    close: async () => undefined,
  },
};

/** The floor that does most of what ours does; the longer cases make do with it. */
const NEAREST = ['pubsub-batch-store'];

/**
 * What is said in each case (the floors understand the same two lines as the demo model) and who drives it. `concurrency`: users at once,
 * followers of the one session (fanout), open streams (idle). `floors`: those it is held against, where not all. `fresh`: on a server of
 * its own, started for it.
 */
export const CASES = {
  echo: { driver: 'users', text: '/say hi', concurrency: [1, 16, 64] },
  stream: { driver: 'users', text: '/stream 200', concurrency: [16, 64] },
  fanout: { driver: 'fanout', text: '/stream 200', concurrency: [1, 100], floors: NEAREST },
  idle: { driver: 'idle', concurrency: [2000], floors: NEAREST, fresh: true },
  turns: { driver: 'turns', text: '/say hi', concurrency: [1], floors: NEAREST },
};
