import { Module } from '@nestjs/common';
import { CredentialVerifier } from './credential-verifier.js';
import { CredentialsController } from './credentials.controller.js';
import { CredentialsService } from './credentials.service.js';
import { CredentialStore } from './credential.store.js';
import { CredentialTypeormStore } from './credential.typeorm-store.js';
import { KeyRotation } from './key-rotation.service.js';
import { OperatorCredentials } from './operator-credentials.js';

@Module({
  controllers: [CredentialsController],
  providers: [
    CredentialsService,
    CredentialVerifier,
    OperatorCredentials,
    KeyRotation,
    { provide: CredentialStore, useClass: CredentialTypeormStore },
  ],
  exports: [CredentialsService, KeyRotation],
})
export class CredentialsModule {}
