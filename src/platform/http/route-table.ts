import type { FastifyInstance } from 'fastify';

/** Which methods the listener answers on which path; asked only when a request matched no route. */
export class RouteTable {
  private readonly routes: { pattern: RegExp; methods: string[] }[] = [];

  /** Must be called before the first route is registered. */
  watch(instance: FastifyInstance): void {
    instance.addHook('onRoute', (route) => {
      const source = route.url
        .replace(/\/$/, '')
        .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
        .replace(/:[^/]+/g, '[^/]+')
        .replace(/\*/g, '.+');
      this.routes.push({ pattern: new RegExp(`^${source}/?$`), methods: [route.method].flat() });
    });
  }

  methodsOf(url: string): string[] {
    const path = url.split('?', 1)[0] ?? url;
    const methods = this.routes.filter((route) => route.pattern.test(path)).flatMap((route) => route.methods);
    return [...new Set(methods)].sort();
  }
}
