import type { NodeProcess } from './node-process.js';
import type { Stage } from './stage.js';

const TABLES = ['messages', 'runs', 'session_leases'];

export interface Write {
  readonly id: number;
  readonly name: string;
  readonly writer: string;
}

/** From now on every row that is written to the tables of runs is on record with the node that wrote it. */
export async function watchWrites(stage: Stage): Promise<void> {
  await stage.sql(`
    CREATE TABLE chaos_writes (
      id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, session_id uuid NOT NULL, writer text NOT NULL);
    CREATE FUNCTION chaos_note_write() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO chaos_writes (name, session_id, writer)
      VALUES (TG_TABLE_NAME, NEW.session_id, current_setting('application_name'));
      RETURN NULL;
    END $$;
    ${TABLES.map(
      (name) =>
        `CREATE TRIGGER chaos_writes AFTER INSERT OR UPDATE ON ${name} FOR EACH ROW EXECUTE FUNCTION chaos_note_write();`,
    ).join('\n')}`);
}

export const writesTo = (stage: Stage, session_id: string): Promise<Write[]> =>
  stage.sql<Write>(`SELECT id, name, writer FROM chaos_writes WHERE session_id = '${session_id}' ORDER BY id`);

/** Connections are named after their node, and nodes with their pid. */
export const isBy =
  (node: NodeProcess) =>
  (write: Write): boolean =>
    write.writer.includes(`:${node.pid}:`);
