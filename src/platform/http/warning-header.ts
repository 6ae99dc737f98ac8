import { type CallHandler, type ExecutionContext, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';

interface Warned {
  readonly warnings: readonly { readonly message: string }[];
}

/** Says the `warnings` of an answer in `Warning` headers, too, for clients that look at no body. */
@Injectable()
export class WarningHeader implements NestInterceptor<Warned, Warned> {
  intercept(context: ExecutionContext, next: CallHandler<Warned>): Observable<Warned> {
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    return next.handle().pipe(
      map((answer) => {
        const values = answer.warnings.map(({ message }) => `299 - "${quoted(message)}"`);
        if (values.length > 0) reply.header('warning', values.join(', '));
        return answer;
      }),
    );
  }
}

/** A header is ASCII, and a quoted string in it has two characters to escape. */
function quoted(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&');
}
