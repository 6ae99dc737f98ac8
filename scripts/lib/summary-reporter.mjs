import { renameSync, writeFileSync } from 'node:fs';

/** Writes the counts of a Jest run to the file that AERIE_TEST_SUMMARY names. A suite that cannot run is a failure. */
export default class SummaryReporter {
  onRunComplete(_contexts, results) {
    const path = process.env.AERIE_TEST_SUMMARY;
    if (!path) return;
    const counts = {
      passed: results.numPassedTests,
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    };
    writeFileSync(`${path}.part`, JSON.stringify(counts));
    renameSync(`${path}.part`, path);
  }
}
