import { Module } from '@nestjs/common';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { CredentialStore } from './credential.store.js';
import { CredentialTypeormStore } from './credential.typeorm-store.js';

@Module({
  controllers: [CredentialsController],
  providers: [CredentialsService, { provide: CredentialStore, useClass: CredentialTypeormStore }],
  exports: [CredentialsService],
})
export class CredentialsModule {}
