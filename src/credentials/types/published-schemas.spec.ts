import { describe, expect, it } from '@jest/globals';
import formModule from '@rjsf/core';
import { customizeValidator } from '@rjsf/validator-ajv8';
import type { RJSFSchema } from '@rjsf/utils';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { z } from 'zod';
import { BUILT_IN_CREDENTIAL_TYPES } from './built-in.js';
import { credentialJsonSchema, secretFields } from './credential-type.js';

const FORMATS: Record<string, true | ((text: string) => boolean)> = {
  password: true,
  uri: (text) => URL.canParse(text),
};
const validator = customizeValidator({ AjvClass: Ajv2020 as never, ajvOptionsOverrides: { formats: FORMATS } });

const credentials = BUILT_IN_CREDENTIAL_TYPES.map(
  (type) => [type.type, credentialJsonSchema(type), secretFields(type.schema)] as const,
);
const parameters = BUILT_IN_CREDENTIAL_TYPES.flatMap(({ type, models }) => [
  [type, models.parameters] as const,
  ...models.chat.map((card) => [`${type} ${card.name}`, card.parameter_schema] as const),
]);

interface Input {
  readonly tag: string;
  readonly type: string | undefined;
}

/** What a form generated from the schema asks for: the inputs by the name of their property. */
function inputsOf(schema: object): Map<string, Input> {
  const html = renderToStaticMarkup(createElement(formModule, { schema: schema as RJSFSchema, validator }));
  expect(html).not.toContain('config-error');
  const inputs = [...html.matchAll(/<(input|select|textarea)\b([^>]*)>/g)].map(([, tag = '', attributes = '']) => {
    const name = /\bname="root_([^"]+)"/.exec(attributes)?.[1];
    return [name ?? attributes, { tag, type: /\btype="([^"]+)"/.exec(attributes)?.[1] }] as const;
  });
  return new Map(inputs);
}

const propertiesOf = (schema: object) => Object.keys((schema as { properties: object }).properties);

/** Unknown keywords and formats are errors, and a type is one type, or one type or null. */
function compile(schema: object) {
  const ajv = new Ajv2020({ strict: true, formats: FORMATS });
  expect(ajv.validateSchema(schema)).toBe(true);
  return ajv.compile(schema);
}

describe('the form of a credential', () => {
  it.each(credentials)('%s is a strict JSON Schema', (type, schema) => {
    const validate = compile(schema);
    expect(validate({ type, unknown: 1 })).toBe(false);
    expect(validate({ type: 'other' })).toBe(false);
  });

  it.each(credentials)('%s is drawn with one input a field, secrets hidden', (_, schema, secrets) => {
    const inputs = inputsOf(schema);
    expect([...inputs.keys()]).toEqual(propertiesOf(schema));
    const hidden = [...inputs].filter(([, input]) => input.type === 'password').map(([name]) => name);
    expect(hidden).toEqual(secrets);
  });
});

describe('the parameters', () => {
  it('are published for every type and card', () => expect(parameters).toHaveLength(12 + 74));

  it.each(parameters)('of %s are a strict JSON Schema that their defaults pass', (_, schema) => {
    const validate = compile({ ...schema, additionalProperties: false });
    const defaults = Object.entries(schema.properties).filter(([, property]) => 'default' in property);
    const values = Object.fromEntries(defaults.map(([name, property]) => [name, property.default]));
    expect([validate(values), validate.errors]).toEqual([true, null]);
    expect(validate({ unknown: 1 })).toBe(false);
  });

  it.each(parameters)('of %s are drawn with one input each', (_, schema) => {
    expect([...inputsOf(schema).keys()].sort()).toEqual(propertiesOf(schema).sort());
  });

  /** Requests are checked by zod, forms by ajv: both must read a schema alike. */
  it.each(parameters)('of %s mean the same to the service as to others', (_, schema) => {
    const closed = { ...schema, additionalProperties: false };
    const [ours, theirs] = [z.fromJSONSchema(closed), compile(closed)];
    const values = [null, true, 'x', 'low', 'max', -1, 0, 0.5, 1, 1.5, 2, 2.5, 100, 101, 8192, 200_000_000];
    for (const name of propertiesOf(schema)) {
      for (const value of values) {
        const given = { [name]: value };
        expect([given, ours.safeParse(given).success]).toEqual([given, theirs(given)]);
      }
    }
  });
});
