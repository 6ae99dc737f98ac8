import { Init1763600000000 } from './1763600000000-init.js';
import { Runs1763700000000 } from './1763700000000-runs.js';

/** Every migration, oldest first. */
export const MIGRATIONS = [Init1763600000000, Runs1763700000000];
