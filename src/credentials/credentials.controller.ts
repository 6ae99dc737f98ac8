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
  PatchCredential,
} from './credential.schema.js';
import { CredentialsService } from './credentials.service.js';

@ApiTags('credentials')
@Controller('credential')
export class CredentialsController {
  constructor(private readonly credentials: CredentialsService) {}

  @Get('schemas')
  @Endpoint({ summary: 'The form of every credential type', policy: 'credentials:read', response: CredentialSchemas })
  schemas() {
    return { schemas: this.credentials.schemas() };
  }

  @Get()
  @Endpoint({ summary: 'List your credentials', policy: 'credentials:read', response: CredentialList })
  async list(@Caller() principal: Principal, @Query({ schema: ListQuery }) query: ListQuery) {
    const { rows, ...page } = await this.credentials.list(principal, query);
    return { credentials: rows, ...page };
  }

  @Post()
  @Endpoint({ summary: 'Store a credential', policy: 'credentials:write', status: 201, response: CredentialCreated })
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
    errors: ['credential_not_found', 'credential_unreadable'],
  })
  update(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Body({ schema: PatchCredential }) body: PatchCredential,
  ) {
    return this.credentials.update(principal, id, body);
  }

  @Delete(':id')
  @Endpoint({
    summary: 'Delete a credential',
    policy: 'credentials:write',
    status: 204,
    errors: ['credential_not_found'],
  })
  async delete(@Caller() principal: Principal, @Param('id') id: string): Promise<void> {
    await this.credentials.delete(principal, id);
  }
}
