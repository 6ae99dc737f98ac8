import { expect } from '@jest/globals';
import type { Answer, ApiClient } from './client.js';
import { codeOf, problem } from './raw-http.js';

export const NOWHERE = '00000000-0000-7000-8000-000000000000';
export const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

export interface ModelConfig {
  type: string;
  credential_id: string;
  model: string;
  parameters?: Record<string, unknown>;
}

/** Creates and gives the one id of the answer. */
export async function create(client: ApiClient, path: string, body: unknown): Promise<string> {
  const answer = await client.request<Record<string, string>>('POST', path, body);
  expect([answer.status, answer.text]).toEqual([201, expect.stringMatching(/^\{"\w+_id":"[0-9a-f-]{36}"/)]);
  return String(Object.values(answer.body)[0]);
}

/** What a model configuration needs, over the demo credential. */
export async function demoModel(client: ApiClient): Promise<ModelConfig> {
  const credential_id = await create(client, '/credential', { data: { type: 'demo_credential' } });
  return { type: 'demo_credential', credential_id, model: 'demo-1' };
}

/** The paths of the faults of an answer that says 400, each once. */
export function faultsOf(answer: Answer): string[] {
  const { error } = problem(answer);
  expect([answer.status, error.code]).toEqual([400, 'validation_failed']);
  return [...new Set((error.details as { path: string }[]).map((fault) => fault.path))];
}

export const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
