/** One statement of an SQL file. */
export interface SqlStatement {
  /** Text without the closing semicolon and surrounding white space; leading comments stay. */
  text: string;
  /** Line of the file on which the statement's first word stands, counted from 1. */
  line: number;
}

/** Strings, quoted names, dollar quotes, comments and semicolons: whatever a semicolon may hide in. */
const TOKEN = new RegExp(
  [
    String.raw`--[^\n]*`,
    String.raw`\/\*`,
    String.raw`\b[eE]'(?:[^'\\]|\\[\s\S]|'')*'`,
    `'(?:[^']|'')*'`,
    `"(?:[^"]|"")*"`,
    String.raw`\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$`,
    `;`,
    String.raw`\bbegin\s+atomic\b`,
  ].join("|"),
  "gi",
);

/** Splits SQL into statements the way the Supabase CLI does: at semicolons outside of quotes and comments. */
export function splitStatements(sql: string): SqlStatement[] {
  const statements: SqlStatement[] = [];
  let start = 0;
  let atomic = false;
  const push = (end: number) => {
    const text = sql.slice(start, end).trim();
    if (withoutComments(text) !== "") statements.push({ text, line: firstLine(sql, start, end) });
  };
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(sql); match !== null; match = TOKEN.exec(sql)) {
    const token = match[0];
    if (token === ";") {
      if (atomic && !/\bend\s*$/i.test(sql.slice(start, match.index))) continue;
      atomic = false;
      push(match.index);
      start = TOKEN.lastIndex;
    } else if (token === "/*") {
      TOKEN.lastIndex = endOfComment(sql, match.index);
    } else if (token.startsWith("$")) {
      const close = sql.indexOf(token, TOKEN.lastIndex);
      TOKEN.lastIndex = close === -1 ? sql.length : close + token.length;
    } else if (/^begin/i.test(token)) {
      atomic = true;
    }
  }
  push(sql.length);
  return statements;
}

function endOfComment(sql: string, start: number): number {
  const edge = /\/\*|\*\//g;
  edge.lastIndex = start + 2;
  let depth = 1;
  for (let match = edge.exec(sql); match !== null; match = edge.exec(sql)) {
    depth += match[0] === "/*" ? 1 : -1;
    if (depth === 0) return edge.lastIndex;
  }
  return sql.length;
}

function withoutComments(text: string): string {
  return text.replace(/^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/, "").trim();
}

function firstLine(sql: string, start: number, end: number): number {
  const skipped = sql.slice(start, end).length - withoutComments(sql.slice(start, end).trimEnd()).length -
    (sql.slice(start, end).length - sql.slice(start, end).trimEnd().length);
  return lineAt(sql, start + skipped);
}

/** Returns the line, counted from 1, of a position in a text. */
export function lineAt(text: string, position: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < position; at = text.indexOf("\n", at + 1)) line++;
  return line;
}
