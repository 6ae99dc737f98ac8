import { Controller, Get, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Health, Liveness, Readiness, Welcome } from './health.schema.js';
import { HealthService } from './health.service.js';

@ApiTags('health')
@Controller()
export class HealthController {
  constructor(private readonly health: HealthService) {}

  @Get()
  @Endpoint({ summary: 'What this is and where things are', policy: 'public', response: Welcome })
  welcome() {
    const { name, version, description } = this.health.app;
    const links = {
      docs: '/docs',
      openapi: '/openapi.json',
      health: '/health',
      readiness: '/readiness',
      liveness: '/liveness',
    };
    return { name, version, description, links };
  }

  @Get('health')
  @Endpoint({
    summary: 'State of the service and its components',
    policy: 'public',
    response: Health,
    errors: ['unavailable'],
  })
  async report(@Res({ passthrough: true }) reply: FastifyReply) {
    const components = await this.health.components();
    const healthy = Object.values(components).every((component) => component.status === 'up');
    if (!healthy) void reply.code(503);
    return {
      status: healthy ? 'healthy' : 'unhealthy',
      timestamp: new Date().toISOString(),
      version: this.health.app.version,
      components,
    };
  }

  @Get('readiness')
  @Endpoint({
    summary: 'Whether this process should get requests',
    policy: 'public',
    response: Readiness,
    errors: ['unavailable'],
  })
  async readiness(@Res({ passthrough: true }) reply: FastifyReply) {
    const reasons = await this.health.unreadiness();
    if (reasons.length === 0) return { status: 'healthy' };
    void reply.code(503);
    return { status: 'unhealthy', reasons };
  }

  @Get('liveness')
  @Endpoint({ summary: 'Whether the process answers at all', policy: 'public', response: Liveness })
  liveness() {
    return { status: 'healthy' };
  }
}
