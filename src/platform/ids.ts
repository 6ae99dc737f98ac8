import { v7, validate } from 'uuid';

/** A new UUIDv7: ids of rows and events, made in the process, ordered by time. */
export const newId = (): string => v7();

/** Whether a text has the shape of a UUID (any version), so that it may be compared with an id column. */
export const isUuid = (text: string): boolean => validate(text);
