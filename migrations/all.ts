import { Init1763600000000 } from './1763600000000-init.js';

/** Every migration, oldest first. */
export const MIGRATIONS = [Init1763600000000];
