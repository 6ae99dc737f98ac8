import { ToolError } from '../agent/tool.js';

const MAX_DEPTH = 100;

const CONSTANTS = new Map([
  ['pi', Math.PI],
  ['e', Math.E],
]);

interface Func {
  min: number;
  max: number;
  apply: (...args: number[]) => number;
}

const unary = (apply: (x: number) => number): Func => ({ min: 1, max: 1, apply });

const FUNCTIONS = new Map<string, Func>([
  ['sqrt', unary(Math.sqrt)],
  ['abs', unary(Math.abs)],
  ['round', unary(Math.round)],
  ['floor', unary(Math.floor)],
  ['ceil', unary(Math.ceil)],
  ['min', { min: 1, max: Infinity, apply: Math.min }],
  ['max', { min: 1, max: Infinity, apply: Math.max }],
  ['log', unary(Math.log10)],
  ['ln', unary(Math.log)],
  ['exp', unary(Math.exp)],
  ['sin', unary(Math.sin)],
  ['cos', unary(Math.cos)],
  ['tan', unary(Math.tan)],
]);

const TOKEN = /\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*)|(\*\*|[-+*/%^(),]))/y;

interface Token {
  kind: 'number' | 'name' | 'symbol' | 'end';
  text: string;
  /** Counted from 1, as the error messages do. */
  position: number;
}

/** The value of an arithmetic expression. Throws ToolError that names the position of the mistake. */
export function evaluate(expression: string): number {
  return new Parser(tokenize(expression)).parse();
}

function tokenize(expression: string): Token[] {
  const tokens: Token[] = [];
  const text = expression.trimEnd();
  let index = 0;
  while (index < text.length) {
    TOKEN.lastIndex = index;
    const match = TOKEN.exec(text);
    if (match === null) {
      const start = index + (/^\s*/.exec(text.slice(index))?.[0].length ?? 0);
      throw mistake(`unexpected "${text.charAt(start)}"`, start + 1);
    }
    const value = match[1] ?? match[2] ?? match[3] ?? '';
    const kind = match[1] !== undefined ? 'number' : match[2] !== undefined ? 'name' : 'symbol';
    index = TOKEN.lastIndex;
    tokens.push({ kind, text: value === '**' ? '^' : value, position: index - value.length + 1 });
  }
  tokens.push({ kind: 'end', text: 'the end', position: text.length + 1 });
  return tokens;
}

const mistake = (what: string, position: number): ToolError =>
  new ToolError(`Cannot calculate: ${what} at position ${position}.`);

/** sum = product (("+"|"-") product)*; product = sign (("*"|"/"|"%") sign)*; sign = "-" sign | power; power = atom ["^" sign] */
class Parser {
  private index = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  parse(): number {
    const value = this.sum();
    if (this.token.kind !== 'end') throw this.unexpected();
    return value;
  }

  private get token(): Token {
    return this.tokens[this.index] as Token;
  }

  private take(...symbols: string[]): Token | null {
    const { token } = this;
    if (token.kind !== 'symbol' || !symbols.includes(token.text)) return null;
    this.index += 1;
    return token;
  }

  private unexpected(): ToolError {
    const { kind, text, position } = this.token;
    return mistake(`unexpected ${kind === 'end' ? text : `"${text}"`}`, position);
  }

  private sum(): number {
    let value = this.product();
    for (let sign = this.take('+', '-'); sign !== null; sign = this.take('+', '-')) {
      const right = this.product();
      value = finite(sign.text === '+' ? value + right : value - right, sign);
    }
    return value;
  }

  private product(): number {
    let value = this.sign();
    for (let sign = this.take('*', '/', '%'); sign !== null; sign = this.take('*', '/', '%')) {
      const right = this.sign();
      if (right === 0 && sign.text !== '*') throw mistake('division by zero', sign.position);
      if (sign.text === '*') value = finite(value * right, sign);
      else value = finite(sign.text === '/' ? value / right : value % right, sign);
    }
    return value;
  }

  private sign(): number {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) throw mistake('the nesting is too deep', this.token.position);
    const sign = this.take('-', '+');
    const value = sign === null ? this.power() : this.sign();
    this.depth -= 1;
    return sign?.text === '-' ? 0 - value : value;
  }

  private power(): number {
    const base = this.atom();
    const sign = this.take('^');
    if (sign === null) return base;
    const exponent = this.sign();
    if (base === 0 && exponent < 0) throw mistake('division by zero', sign.position);
    return finite(base ** exponent, sign);
  }

  private atom(): number {
    const { token } = this;
    if (token.kind === 'number') {
      this.index += 1;
      return finite(Number(token.text), token);
    }
    if (token.kind === 'name') return this.name(token);
    if (this.take('(') === null) throw this.unexpected();
    const value = this.sum();
    this.close();
    return value;
  }

  private name(token: Token): number {
    this.index += 1;
    const func = FUNCTIONS.get(token.text);
    if (func === undefined) {
      const constant = CONSTANTS.get(token.text);
      if (constant === undefined) throw mistake(`unknown name "${token.text}"`, token.position);
      return constant;
    }
    if (this.take('(') === null) throw this.unexpected();
    const args = [this.sum()];
    while (this.take(',') !== null) args.push(this.sum());
    this.close();
    if (args.length < func.min || args.length > func.max) {
      throw mistake(`${token.text} takes ${func.max === 1 ? 'one argument' : 'at least one argument'}`, token.position);
    }
    return finite(func.apply(...args), token);
  }

  private close(): void {
    if (this.take(')') === null) throw this.unexpected();
  }
}

function finite(value: number, { text, position }: Token): number {
  if (Number.isNaN(value)) throw mistake(`"${text}" is not defined for this value`, position);
  if (!Number.isFinite(value)) throw mistake('the number is too large', position);
  return value;
}
