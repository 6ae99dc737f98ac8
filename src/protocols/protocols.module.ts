import { type DynamicModule, Module } from '@nestjs/common';
import { SessionsModule } from '../sessions/sessions.module.js';
import { nativeProtocol } from './native/native.protocol.js';
import { ProtocolInterceptor } from './protocol.interceptor.js';
import { ProtocolRegistry, STREAM_PROTOCOLS } from './protocol-registry.js';
import type { StreamProtocol } from './protocol.js';
import { StreamController } from './stream.controller.js';
import { Streams } from './streams.js';

@Module({})
export class ProtocolsModule {
  static forRoot(more: readonly StreamProtocol[]): DynamicModule {
    return {
      module: ProtocolsModule,
      imports: [SessionsModule],
      controllers: [StreamController],
      providers: [
        ProtocolInterceptor,
        ProtocolRegistry,
        Streams,
        { provide: STREAM_PROTOCOLS, useValue: [nativeProtocol, ...more] },
      ],
    };
  }
}
