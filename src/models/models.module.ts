import { Module } from '@nestjs/common';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { ModelCatalogService } from './model-catalog.service.js';
import { ModelChoiceService } from './model-choice.service.js';
import { ModelsController } from './models.controller.js';
import { ModelsService } from './models.service.js';

@Module({
  imports: [CredentialsModule],
  controllers: [ModelsController],
  providers: [ModelsService, ModelCatalogService, ModelChoiceService],
  exports: [ModelsService, ModelCatalogService, ModelChoiceService],
})
export class ModelsModule {}
