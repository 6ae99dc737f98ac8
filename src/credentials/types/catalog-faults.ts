import { z } from 'zod';
import type { ParameterSchema } from '../../core/models/model-card.js';
import type { ModelCatalog } from '../../core/models/model-catalog.js';

interface Named {
  readonly name: string;
}

/** What makes a catalogue unfit for use, each with its place; empty for a sound one. */
export function catalogFaults({ parameters, chat, embedding, tts }: ModelCatalog): string[] {
  return [
    ...parameterFaults('parameters', parameters),
    ...chat.flatMap((card) => parameterFaults(`chat_models "${card.name}"`, card.parameter_schema)),
    ...duplicates('chat_models', chat),
    ...duplicates('embedding_models', embedding),
    ...duplicates('tts_models', tts),
  ];
}

/** Each property must be a schema that requests can be checked against, and its default must pass it. */
function parameterFaults(place: string, { properties, required }: ParameterSchema): string[] {
  const missing = required.filter((name) => !(name in properties));
  return [
    ...missing.map((name) => `${place}: requires "${name}", which it does not have`),
    ...Object.entries(properties).flatMap(([name, property]) => propertyFaults(`${place}.${name}`, property)),
  ];
}

/** Cards share most properties with their type, and a catalogue is looked at by its loader and by the registry. */
const known = new WeakMap<object, string[]>();

function propertyFaults(place: string, property: Record<string, unknown>): string[] {
  let faults = known.get(property);
  if (!faults) known.set(property, (faults = schemaFaults(property)));
  return faults.map((fault) => place + fault);
}

function schemaFaults({ default: value, ...schema }: Record<string, unknown>): string[] {
  try {
    const parsed = z.fromJSONSchema(schema).safeParse(value);
    return value === undefined || parsed.success ? [] : [`.default: ${parsed.error.issues[0]?.message}`];
  } catch (error) {
    return [`: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function duplicates(list: string, models: readonly Named[]): string[] {
  const names = models.map((model) => model.name);
  const repeated = names.filter((name, index) => names.indexOf(name) < index);
  return [...new Set(repeated)].map((name) => `${list} "${name}": listed twice`);
}
