import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { describeError, ModelError } from '../core/models/chat-model.js';
import { maskSecrets } from '../platform/crypto/mask.js';
import { Egress } from '../platform/egress/egress.js';
import { AerieError } from '../platform/http/errors.js';
import { CallRate } from '../platform/http/call-rate.js';
import type { CredentialVerified } from './credential.schema.js';
import { CredentialsService } from './credentials.service.js';
import { secretFields } from './types/credential-type.js';

/** How long a provider may take to answer. */
const WITHIN_MS = 15_000;
/** Calls a caller may have made, per process: a credential is no way to make this service call others without end. */
const RATE = { calls: 20, per_ms: 60_000, callers: 10_000 };

/** Asks providers whether they take a credential. What they say stays in the log, without the secrets it may repeat. */
@Injectable()
export class CredentialVerifier {
  private readonly logger = new Logger(CredentialVerifier.name);
  private readonly rate = new CallRate(RATE);

  constructor(
    private readonly credentials: CredentialsService,
    private readonly egress: Egress,
  ) {}

  async verify(principal: Principal, id: string): Promise<CredentialVerified> {
    const record = await this.credentials.record(principal, id);
    const { type, data } = await this.credentials.unseal(record);
    if (!type.verify) {
      throw new AerieError('credential_not_verifiable', `There is nobody to ask about a ${type.type}.`);
    }
    const wait_ms = this.rate.take(JSON.stringify([principal.tenant_id, principal.user_id]));
    if (wait_ms > 0) {
      throw new AerieError(
        'too_many_verifications',
        'Too many credentials were verified. Try again later.',
        undefined,
        {
          headers: { 'retry-after': String(Math.ceil(wait_ms / 1000)) },
        },
      );
    }
    try {
      await within(WITHIN_MS, (signal) => type.verify?.(data, this.egress, signal));
      return { ok: true };
    } catch (error) {
      const failure = error instanceof ModelError ? error.type : 'unknown';
      const said = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      const reason = maskSecrets(
        said,
        secretFields(type.schema).map((field) => data[field]),
      );
      this.logger.warn({ credential_id: id, type: type.type, failure, reason }, 'A credential was not verified');
      return { ok: false, error: describeError(failure) };
    }
  }
}

/** Gives up after a time, also on work that does not look at its signal. */
async function within(ms: number, work: (signal: AbortSignal) => Promise<void> | undefined): Promise<void> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new ModelError('connection', `no answer within ${ms} ms`);
      reject(error);
      controller.abort(error);
    }, ms);
  });
  try {
    await Promise.race([work(controller.signal), late]);
  } finally {
    clearTimeout(timer);
  }
}
