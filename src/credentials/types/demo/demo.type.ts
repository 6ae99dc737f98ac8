import { z } from 'zod';
import type { CredentialType } from '../credential-type.js';
import { CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { DemoChatModel } from './demo-model.js';

const DemoCredential = z.strictObject({ type: z.literal('demo_credential'), name: CredentialName }).meta({
  id: 'DemoCredential',
  description: 'Needs no key. Its model is no AI: it plays back the script in your message, for trials and tests.',
});

/** A model that needs no key and no network, for a first conversation and for tests. */
export const demoCredentialType: CredentialType<typeof DemoCredential> = {
  type: 'demo_credential',
  title: 'Demo (no AI)',
  schema: DemoCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: false,
  createChatModel: (_, { name }) => new DemoChatModel(name),
};
