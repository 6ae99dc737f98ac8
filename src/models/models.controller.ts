import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { ModelList, ModelQuery } from './model.schema.js';
import { ModelsService } from './models.service.js';

@ApiTags('models')
@Controller('model')
export class ModelsController {
  constructor(private readonly models: ModelsService) {}

  @Get()
  @Endpoint({
    summary: 'The models of a provider',
    policy: 'models:read',
    response: ModelList,
    errors: ['provider_not_found'],
  })
  list(@Query({ schema: ModelQuery }) query: ModelQuery) {
    const models = this.models.list(query.provider);
    return { models, total: models.length, next_cursor: null };
  }
}
