import { describe, expect, it } from '@jest/globals';
import { parseToolInput } from '../agent/tool-input.js';
import { ToolError } from '../agent/tool.js';
import { AgentState } from '../state/session-state.js';
import { MemoryOffloads } from '../testing/conversations.js';
import { readOffloadedTool } from './read-offloaded.js';

const base = { tool_call_id: 'c', signal: new AbortController().signal, state: new AgentState() };

async function storeOf(content: string | Uint8Array, kind: 'tool_result' | 'data' = 'tool_result') {
  const store = new MemoryOffloads();
  const { path } = await store.put({
    kind,
    name: 'n',
    media_type: kind === 'data' ? 'image/png' : 'text/plain',
    content,
  });
  const context = { ...base, offload: store };
  const read = async (input: Record<string, unknown> = {}): Promise<string> => {
    let said = '';
    for await (const chunk of readOffloadedTool.run({ path, ...input }, context))
      if (chunk.type === 'text') said += chunk.text;
    return said;
  };
  return { read, path };
}

describe('read_offloaded', () => {
  it('reads a text, and says where it goes on', async () => {
    const { read } = await storeOf('0123456789😀end');
    expect(await read()).toBe('[Characters 0 to 14 of 14.]\n0123456789😀end');
    expect(await read({ offset: 8, limit: 3 })).toBe('[Characters 8 to 11 of 14. Go on with offset 11.]\n89😀');
  });

  it('gives a bounded piece of a long text', async () => {
    const { read } = await storeOf('x'.repeat(100_000));
    expect((await read()).length).toBeLessThan(20_100);
    expect(parseToolInput(readOffloadedTool, '{"path": "p", "limit": 50001}').ok).toBe(false);
    expect(parseToolInput(readOffloadedTool, '{"path": "p", "offset": -1}').ok).toBe(false);
  });

  it('tells the model what it cannot read', async () => {
    const { read } = await storeOf('abc');
    await expect(read({ path: 'nowhere' })).rejects.toThrow(new ToolError('There is nothing at "nowhere".'));
    await expect(read({ offset: 3 })).rejects.toThrow('has 3 characters; there is nothing from 3 on');
    const file = await storeOf(Buffer.from('png'), 'data');
    await expect(file.read()).rejects.toThrow(`"${file.path}" is a file (image/png, 3 bytes) that is no text.`);
  });
});
