import { Agent } from 'undici';

/** Speaks HTTP with one server, on as many connections as that takes. */
export function connect(url, ownHeaders) {
  const dispatcher = new Agent({ connections: null, pipelining: 1, bodyTimeout: 0, headersTimeout: 60_000 });

  /** One exchange; resolves at its end, or with `onChunk` at its head as `{ended, abort}`. */
  function exchange({ method, path, body, accept }, onChunk) {
    return new Promise((resolve, reject) => {
      const text = [];
      let status = 0;
      let control;
      const ending = Promise.withResolvers();
      ending.promise.catch(() => undefined);
      const fail = (error) => {
        ending.reject(error);
        reject(error);
      };
      const refuse = () =>
        fail(new Error(`${method} ${path} -> ${status} ${Buffer.concat(text).toString().slice(0, 300)}`));
      const headers = { ...ownHeaders };
      if (accept) headers.accept = accept;
      if (body !== undefined) headers['content-type'] = 'application/json';
      dispatcher.dispatch(
        { origin: url, method, path, headers, body: body === undefined ? undefined : JSON.stringify(body) },
        {
          onRequestStart: (controller) => (control = controller),
          onResponseStart: (_controller, code) => {
            status = code;
            if (onChunk && code < 400)
              resolve({ ended: ending.promise, abort: () => control.abort(new Error('done')) });
          },
          onResponseData: (_controller, chunk) => {
            if (onChunk && status < 400) onChunk(chunk);
            else text.push(chunk);
          },
          onResponseEnd: () => {
            if (status >= 400) return refuse();
            ending.resolve();
            resolve(Buffer.concat(text).toString());
          },
          onResponseError: (_controller, error) => fail(error),
        },
      );
    });
  }

  async function api(method, path, body) {
    const text = await exchange({ method, path, body });
    return text ? JSON.parse(text) : undefined;
  }

  return { exchange, api };
}
