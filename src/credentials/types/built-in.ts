import { anthropicCredentialType } from './anthropic/anthropic.type.js';
import { azureOpenAiCredentialType } from './azure_openai/azure_openai.type.js';
import { bedrockCredentialType } from './bedrock/bedrock.type.js';
import type { CredentialType } from './credential-type.js';
import { dashScopeCredentialType } from './dashscope/dashscope.type.js';
import { deepSeekCredentialType } from './deepseek/deepseek.type.js';
import { demoCredentialType } from './demo/demo.type.js';
import { geminiCredentialType } from './gemini/gemini.type.js';
import { moonshotCredentialType } from './moonshot/moonshot.type.js';
import { ollamaCredentialType } from './ollama/ollama.type.js';
import { openAiCredentialType } from './openai/openai.type.js';
import { openAiCompatibleCredentialType } from './openai_compatible/openai_compatible.type.js';
import { xaiCredentialType } from './xai/xai.type.js';

/** The credential types of the service, in the order in which they are offered. */
export const BUILT_IN_CREDENTIAL_TYPES: readonly CredentialType[] = [
  demoCredentialType,
  anthropicCredentialType,
  dashScopeCredentialType,
  deepSeekCredentialType,
  geminiCredentialType,
  moonshotCredentialType,
  ollamaCredentialType,
  openAiCredentialType,
  xaiCredentialType,
  azureOpenAiCredentialType,
  bedrockCredentialType,
  openAiCompatibleCredentialType,
];
