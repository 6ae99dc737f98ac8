import { Body, Controller, Delete, Get, Param, Patch, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { ListQuery } from '../platform/http/wire.js';
import {
  CreateCredential,
  CredentialCreated,
  CredentialList,
  CredentialSchemas,
  CredentialView,
  CredentialUsages,
  CredentialVerified,
  DeleteCredentialQuery,
  PatchCredential,
} from './credential.schema.js';
import { CredentialVerifier } from './credential-verifier.js';
import { CredentialsService } from './credentials.service.js';

@ApiTags('credentials')
@Controller('credential')
export class CredentialsController {
  constructor(
    private readonly credentials: CredentialsService,
    private readonly verifier: CredentialVerifier,
  ) {}

  @Get('schemas')
  @Endpoint({ summary: 'The form of every credential type', policy: 'credentials:read', response: CredentialSchemas })
  schemas() {
    return { schemas: this.credentials.schemas() };
  }

  @Get()
  @Endpoint({
    summary: 'List your credentials, then those the operator gives you',
    policy: 'credentials:read',
    response: CredentialList,
  })
  async list(@Caller() principal: Principal, @Query({ schema: ListQuery }) query: ListQuery) {
    const { rows, ...page } = await this.credentials.list(principal, query);
    return { credentials: rows, ...page };
  }

  @Post()
  @Endpoint({
    summary: 'Store a credential',
    policy: 'credentials:write',
    status: 201,
    response: CredentialCreated,
    errors: ['credential_unreadable', 'unavailable'],
  })
  async create(@Caller() principal: Principal, @Body({ schema: CreateCredential }) body: CreateCredential) {
    return { credential_id: await this.credentials.create(principal, body) };
  }

  @Get(':id')
  @Endpoint({
    summary: 'Get a credential without its secrets',
    policy: 'credentials:read',
    response: CredentialView,
    errors: ['credential_not_found'],
  })
  get(@Caller() principal: Principal, @Param('id') id: string) {
    return this.credentials.get(principal, id);
  }

  @Patch(':id')
  @Endpoint({
    summary: 'Change a credential',
    policy: 'credentials:write',
    response: CredentialView,
    errors: ['credential_not_found', 'credential_not_editable', 'conflict', 'credential_unreadable', 'unavailable'],
  })
  update(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Body({ schema: PatchCredential }) body: PatchCredential,
  ) {
    return this.credentials.update(principal, id, body);
  }

  @Post(':id/verify')
  @Endpoint({
    summary: 'Ask the provider whether it takes a credential',
    description:
      'Makes the cheapest call that shows it, for at most 15 s. A refusal is an answer: `ok` is false and `error` says of what class it is.',
    policy: 'credentials:write',
    response: CredentialVerified,
    errors: [
      'credential_not_found',
      'credential_not_verifiable',
      'too_many_verifications',
      'credential_unreadable',
      'unavailable',
    ],
  })
  verify(@Caller() principal: Principal, @Param('id') id: string) {
    return this.verifier.verify(principal, id);
  }

  @Get(':id/usages')
  @Endpoint({
    summary: 'What of yours uses a credential',
    policy: 'credentials:read',
    response: CredentialUsages,
    errors: ['credential_not_found'],
  })
  usages(@Caller() principal: Principal, @Param('id') id: string) {
    return this.credentials.usages(principal, id);
  }

  @Delete(':id')
  @Endpoint({
    summary: 'Delete a credential that nothing uses',
    description: '`credential_in_use` has the usages as its details; `force=true` deletes it all the same.',
    policy: 'credentials:write',
    status: 204,
    errors: ['credential_not_found', 'credential_not_editable', 'credential_in_use'],
  })
  async delete(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: DeleteCredentialQuery }) query: DeleteCredentialQuery,
  ): Promise<void> {
    await this.credentials.delete(principal, id, query.force);
  }
}
