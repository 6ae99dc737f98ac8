import { type DynamicModule, Module } from '@nestjs/common';
import { AerieModule, type AerieOptions } from './aerie.module.js';
import type { RouteTable } from './platform/http/route-table.js';

/** The shipped service: AerieModule with its defaults. */
@Module({})
export class AppModule {
  static forRoot(options: AerieOptions, routes: RouteTable): DynamicModule {
    return { module: AppModule, imports: [AerieModule.forRoot(options, routes)] };
  }
}
