import { Init1763600000000 } from './1763600000000-init.js';
import { Runs1763700000000 } from './1763700000000-runs.js';
import { Vault1763800000000 } from './1763800000000-vault.js';
import { Usage1763900000000 } from './1763900000000-usage.js';
import { Approvals1764000000000 } from './1764000000000-approvals.js';
import { Offloads1764100000000 } from './1764100000000-offloads.js';
import { Sessions1764200000000 } from './1764200000000-sessions.js';

/** Every migration, oldest first. */
export const MIGRATIONS = [
  Init1763600000000,
  Runs1763700000000,
  Vault1763800000000,
  Usage1763900000000,
  Approvals1764000000000,
  Offloads1764100000000,
  Sessions1764200000000,
];
