/** A fault of the embedded database that its operator can mend: the message is the whole report. */
export class EmbeddedDatabaseError extends Error {
  override readonly name = 'EmbeddedDatabaseError';
}
