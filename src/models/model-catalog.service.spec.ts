import { describe, expect, it } from '@jest/globals';
import { BUILT_IN_CREDENTIAL_TYPES } from '../credentials/types/built-in.js';
import { CredentialTypeRegistry } from '../credentials/types/credential-type.js';
import { openAiCredentialType as type } from '../credentials/types/openai/openai.type.js';
import { ModelCatalogService } from './model-catalog.service.js';

const catalog = new ModelCatalogService(new CredentialTypeRegistry(BUILT_IN_CREDENTIAL_TYPES));

describe('parameters that were stored before the card changed', () => {
  const o3 = catalog.ref(type, 'o3');

  it('go with the call as long as they are valid, null included', () => {
    const parameters = { max_tokens: 1000, reasoning_effort: null, parallel_tool_calls: false };
    expect(catalog.fitting(type, o3, parameters)).toEqual(parameters);
  });

  it('are left out when the model does not take them any more', () => {
    const output = o3.card?.output_size ?? 0;
    const parameters = { temperature: 0.5, max_tokens: output + 1, thinking_enable: true };
    expect(catalog.fitting(type, o3, parameters)).toEqual({ thinking_enable: true });
  });

  it('are held to those of the type where there is no card', () => {
    const unlisted = catalog.ref(type, 'my-own');
    expect(catalog.fitting(type, unlisted, { temperature: 0.5, top_q: 1 })).toEqual({ temperature: 0.5 });
  });
});
