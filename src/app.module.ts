import { type DynamicModule, Module } from '@nestjs/common';
import { AerieModule, type AerieOptions } from './aerie.module.js';

/** The shipped service: AerieModule with its defaults. */
@Module({})
export class AppModule {
  static forRoot(options: AerieOptions): DynamicModule {
    return { module: AppModule, imports: [AerieModule.forRoot(options)] };
  }
}
