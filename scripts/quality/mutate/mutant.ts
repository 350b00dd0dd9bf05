/** A small mistake that somebody could make, and the tests that should notice. */
import { TaskError } from "../../lib/errors.ts";

/** One change of one place. */
export interface Edit {
  /** Path from the project's folder; in SQL the place is within one function. */
  file: string;
  /** Text that stands in the file exactly once. */
  find: string;
  replace: string;
}

/** One mistake. */
export interface Mutant extends Edit {
  /** Subject, and what is wrong then. */
  name: string;
  /** Other functions that the mistake is in as well: not another place of the same one. */
  also?: Edit[];
  /** Files and folders of tests, in the order in which they are asked. */
  tests: string[];
}

/** All the places of a mistake, each as a mutant of its own. */
export function placesOf({ also = [], ...mutant }: Mutant): Mutant[] {
  return [mutant, ...also.map((edit) => ({ ...mutant, ...edit }))];
}

/** The file with the mistake. Throws a TaskError unless the place is found exactly once. */
export function mutatedText({ name, file, find, replace }: Mutant, text: string): string {
  const found = text.split(find).length - 1;
  if (found !== 1) {
    throw new TaskError(`Mutant '${name}' is stale: its text stands ${found} times in ${file}, and not once`);
  }
  return text.replace(find, () => replace);
}

/** The function around the mistake, as statements that put it in and take it out again. */
export function mutatedFunction(mutant: Mutant, text: string): { broken: string; right: string } {
  const functions = [...text.matchAll(/^create function [\s\S]*?^\$\$;$/gm)].map(([statement]) => statement);
  const right = functions.find((statement) => statement.includes(mutant.find));
  if (right === undefined) throw new TaskError(`Mutant '${mutant.name}' is in no function of ${mutant.file}`);
  const replacing = (statement: string) => statement.replace("create function", "create or replace function");
  return { broken: replacing(mutatedText(mutant, right)), right: replacing(right) };
}
