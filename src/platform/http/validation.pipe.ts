import { type ArgumentMetadata, StandardSchemaValidationPipe } from '@nestjs/common';
import { AerieError, type Fault, invalid } from './errors.js';

const MAX_FAULTS = 50;
/** How deep a body may be nested: what is passed on and stored is walked by recursion. */
const MAX_DEPTH = 100;

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { key: PropertyKey })[];
}

/** Validates bodies, queries and parameters by their schema; every fault is reported with its path. */
class ValidationPipe extends StandardSchemaValidationPipe {
  constructor() {
    super({
      transform: true,
      exceptionFactory: (issues: readonly Issue[]) =>
        new AerieError('validation_failed', 'The request is not valid.', issues.slice(0, MAX_FAULTS).map(toFault)),
    });
  }

  override async transform<T>(value: T, metadata: ArgumentMetadata): Promise<T> {
    const valid = await super.transform(value, metadata);
    if (metadata.type === 'body') checkText(valid, '');
    return valid;
  }

  /** The parser refuses what could reach a prototype; beyond that the names in a body are the client's data, `constructor` too. */
  protected override stripProtoKeys(): void {}
}

export function validationPipe(): StandardSchemaValidationPipe {
  return new ValidationPipe();
}

/** JSON can spell text that is no Unicode, and NUL; PostgreSQL stores neither, and no model could read it. */
function checkText(value: unknown, path: string, depth = 0): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed()) throw invalid(path, 'must be Unicode text without NUL');
  } else if (typeof value === 'object' && value !== null) {
    if (depth === MAX_DEPTH) throw invalid(path, `must not be nested deeper than ${MAX_DEPTH} levels`);
    for (const [key, item] of Object.entries(value)) {
      const at = path ? `${path}.${key}` : key;
      checkText(key, path);
      checkText(item, at, depth + 1);
    }
  }
}

export function toFault(issue: Issue): Fault {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return { path, message: issue.message };
}
