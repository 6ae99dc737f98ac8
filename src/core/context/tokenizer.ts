/** Says how many tokens a text is to a model. Another model's tokenizer may differ by a third: see the factor of `TokenCounter`. */
export interface Tokenizer {
  /** An estimate, never more than the text has bytes in UTF-8. Takes any text, and about a millisecond however long it is. */
  count(text: string): number;
}
