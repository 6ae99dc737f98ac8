type Fetch = typeof globalThis.fetch;

/** What the bytes of a streamed answer go through on their way to a provider package. */
export interface StreamFilter {
  /** Throws what is to be said once all that was passed on has been read. */
  check?(): void;
  /** What can be passed on of what has come. */
  push(chunk: Uint8Array): Uint8Array;
  /** What is left when nothing more comes. */
  end(): Uint8Array;
}

/** Passes answers of a content type, if they are no failures, through a filter of their own. */
export function filteredFetch(fetch: Fetch, contentType: string, newFilter: () => StreamFilter): Fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const streams = response.headers.get('content-type')?.includes(contentType) === true;
    if (!response.ok || response.body === null || !streams) return response;
    const { status, statusText, headers } = response;
    return new Response(filtered(response.body, newFilter()), { status, statusText, headers });
  };
}

function filtered(body: ReadableStream<Uint8Array>, filter: StreamFilter): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        // A pull that passes nothing on would be the last one.
        for (;;) {
          filter.check?.();
          const { done, value } = await reader.read();
          const passed = done ? filter.end() : filter.push(value);
          if (passed.length > 0) controller.enqueue(passed);
          if (done) return controller.close();
          if (passed.length > 0) return;
        }
      },
      // Packages cancel without looking at the outcome; a rejection would be nobody's, and end the process.
      cancel: (reason) => reader.cancel(reason).catch(() => undefined),
    },
    { highWaterMark: 0 },
  );
}
