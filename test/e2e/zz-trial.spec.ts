import { expect, it } from '@jest/globals';
import { startRig } from '../support/rig.js';
it('x', async () => {
  const rig = await startRig({LOG_LEVEL:'info'});
  const c = rig.client();
  const out: string[] = [];
  await c.request('GET','/agent',undefined,{'x-request-id':'abc-1', traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', cookie:'a=b'});
  const a = await c.request('POST','/agent','{"name":"a\\u0000b"}');
  out.push(a.status + a.text);
  const b = await c.request('POST','/agent','{"name":"a\\ud800b"}');
  out.push(b.status + b.text);
  for (let i = 0; i < 15; i++) {
    const s = await c.demoSession();
    const t = performance.now();
    await c.say(s.session_id, 'hello');
    const st = await c.stream(s.session_id);
    const r = await Promise.race([st.replies().then(() => 'ok'), new Promise((ok) => setTimeout(() => ok('HANG'), 4000))]);
    out.push(`${i} ${String(r)} ${performance.now() - t}`);
    if (r === 'HANG') out.push(st.raw, JSON.stringify(await c.messages(s.session_id)));
    st.close();
  }
  console.log(out.join('\n'), rig.service.output().slice(0, 6000));
  await rig.stop();
  expect(1).toBe(1);
}, 60000);
