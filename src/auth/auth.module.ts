import { type DynamicModule, Global, Module, type Provider } from '@nestjs/common';
import { APP_GUARD, MetadataScanner } from '@nestjs/core';
import { Config } from '../platform/config/config.js';
import { ConfigError } from '../platform/config/config-error.js';
import { Authenticator } from './authenticator.js';
import { HeaderAuthenticator, OpenAuthenticator } from './header.authenticator.js';
import { IdentityService } from './identity.service.js';
import { JwtAuthenticator } from './jwt.authenticator.js';
import { PolicyAudit } from './policy.audit.js';
import { PolicyGuard } from './policy.guard.js';

function fromConfig(config: Config): Authenticator {
  switch (config.auth.mode) {
    case 'header':
      return new HeaderAuthenticator(config.auth.proxy_secret);
    case 'open':
      return new OpenAuthenticator();
    case 'jwt': {
      const { issuer, audience, jwks_url, ...claims } = config.auth.jwt;
      if (!issuer || !audience || !jwks_url) throw new ConfigError('AUTH_MODE: jwt is not configured');
      return new JwtAuthenticator({ issuer, audience, jwks_url, ...claims });
    }
  }
}

@Global()
@Module({})
export class AuthModule {
  static forRoot(custom?: Authenticator): DynamicModule {
    const authenticator: Provider = custom
      ? { provide: Authenticator, useValue: custom }
      : { provide: Authenticator, inject: [Config], useFactory: fromConfig };
    return {
      module: AuthModule,
      providers: [
        authenticator,
        IdentityService,
        MetadataScanner,
        PolicyAudit,
        { provide: APP_GUARD, useClass: PolicyGuard },
      ],
      exports: [Authenticator, IdentityService],
    };
  }
}
