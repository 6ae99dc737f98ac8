import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiParam, ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { EmbeddingModelList, ListedModel, ModelList, ModelQuery, TtsModelList } from './model.schema.js';
import { ModelCatalogService } from './model-catalog.service.js';

@ApiTags('models')
@Controller()
export class ModelsController {
  constructor(private readonly catalog: ModelCatalogService) {}

  @Get('model')
  @Endpoint({
    summary: 'The chat models that are listed',
    policy: 'models:read',
    response: ModelList,
    errors: ['provider_not_found'],
  })
  list(@Query({ schema: ModelQuery }) query: ModelQuery) {
    return page(this.catalog.chat(query));
  }

  @Get('embedding_model')
  @Endpoint({
    summary: 'The embedding models that are listed',
    policy: 'models:read',
    response: EmbeddingModelList,
    errors: ['provider_not_found'],
  })
  embedding(@Query({ schema: ModelQuery }) query: ModelQuery) {
    return page(this.catalog.embedding(query));
  }

  @Get('tts_model')
  @Endpoint({
    summary: 'The speaking models that are listed',
    policy: 'models:read',
    response: TtsModelList,
    errors: ['provider_not_found'],
  })
  tts(@Query({ schema: ModelQuery }) query: ModelQuery) {
    return page(this.catalog.tts(query));
  }

  /** The rest of the path is the name, since a name may hold slashes: spelt as they are, or as %2F. */
  @Get('model/:provider/*')
  @ApiParam({ name: 'provider', type: String, description: 'Credential type, e.g. `openai_credential`' })
  @ApiParam({ name: 'path', type: String, description: 'Name of the model; slashes in it may be left as they are' })
  @Endpoint({
    summary: 'The card of a chat model',
    policy: 'models:read',
    response: ListedModel,
    errors: ['provider_not_found', 'model_not_found'],
  })
  get(@Param() params: Record<string, string>) {
    return this.catalog.get(params.provider ?? '', params['*'] ?? '');
  }
}

function page<T>(models: T[]) {
  return { models, total: models.length, next_cursor: null };
}
