import { z } from 'zod';
import { buildModelCard, THINKING_TYPE, type ParameterSchema } from '../../../core/models/model-card.js';
import type { CredentialType } from '../credential-type.js';
import { DemoChatModel } from './demo-model.js';

const DemoCredential = z
  .strictObject({ type: z.literal('demo_credential'), name: z.string().max(256).default('') })
  .meta({
    id: 'DemoCredential',
    description: 'Needs no key. Its model is no AI: it plays back the script in your message, for trials and tests.',
  });

const PARAMETERS: ParameterSchema = { type: 'object', properties: {}, required: [] };

/** A model that needs no key and no network, for a first conversation and for tests. */
export const demoCredentialType: CredentialType<typeof DemoCredential> = {
  type: 'demo_credential',
  title: 'Demo (no AI)',
  schema: DemoCredential,
  models: {
    parameters: PARAMETERS,
    chat: [
      buildModelCard(PARAMETERS, {
        name: 'demo-1',
        label: 'Demo 1 (no AI, plays back scripts)',
        status: 'active',
        deprecated_at: null,
        input_types: ['text/plain'],
        output_types: ['text/plain', THINKING_TYPE],
        context_size: 128_000,
        output_size: 65_536,
        parameters_overrides: {},
      }),
    ],
    embedding: [],
    tts: [],
  },
  allowsUnlistedModels: false,
  createChatModel: (_, { name }) => new DemoChatModel(name),
  /** There is nothing that could be wrong with it. */
  verify: () => Promise.resolve(),
};
