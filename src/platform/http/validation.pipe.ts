import { StandardSchemaValidationPipe } from '@nestjs/common';
import { AerieError, type Fault } from './errors.js';

const MAX_FAULTS = 50;

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { key: PropertyKey })[];
}

/** Validates bodies, queries and parameters by their schema; every fault is reported with its path. */
export function validationPipe(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    transform: true,
    exceptionFactory: (issues: readonly Issue[]) =>
      new AerieError('validation_failed', 'The request is not valid.', issues.slice(0, MAX_FAULTS).map(toFault)),
  });
}

export function toFault(issue: Issue): Fault {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return { path, message: issue.message };
}
