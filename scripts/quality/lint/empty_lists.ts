/**
 * Lint rule `tests/empty-lists`: what is said of each thing in a list holds of an empty one too, so a test that says it
 * of a list that was found, and not written down, proves nothing on the day when nothing is found. `nonEmpty()` of
 * tests/support says that there is something.
 */
type Node = Deno.lint.Node;

const MESSAGE = "An empty list passes this";
const HINT =
  "Take the list through nonEmpty() of tests/support/non_empty.ts, which fails when there is nothing";

const plugin: Deno.lint.Plugin = {
  name: "tests",
  rules: {
    "empty-lists": {
      create(context) {
        if (!/\/tests\/.*\.ts$/.test(context.filename.replaceAll("\\", "/"))) return {};
        const report = (node: Node) => context.report({ node, message: MESSAGE, hint: HINT });
        return {
          CallExpression(node) {
            if (!isAssertion(node)) return;
            const claim = node.arguments[0];
            if (claim !== undefined) { for (const call of vacuous(claim)) report(call); }
          },
          ForOfStatement(node) {
            if (isFound(node.right) && assertsOnly(node.body)) report(node);
          },
        };
      },
    },
  },
};
export default plugin;

/** `assert(…)`, `assert.ok(…)` and the like. */
function isAssertion(node: Node): boolean {
  if (node.type === "AwaitExpression") return isAssertion(node.argument);
  if (node.type !== "CallExpression") return false;
  const { callee } = node;
  if (callee.type === "Identifier") return callee.name === "assert";
  return callee.type === "MemberExpression" && callee.object.type === "Identifier" &&
    callee.object.name === "assert";
}

/** The calls in a claim that an empty list makes true: `every()`, and `some()` denied. */
function vacuous(node: Node, denied = false): Node[] {
  if (node.type === "UnaryExpression" && node.operator === "!") return vacuous(node.argument, !denied);
  if (node.type === "LogicalExpression") {
    return [...vacuous(node.left, denied), ...vacuous(node.right, denied)];
  }
  const list = listOf(node, denied ? "some" : "every");
  return list === null || isNonEmpty(list) ? [] : [node];
}

/** The list of `list.method(…)`. */
function listOf(node: Node, method: string): Node | null {
  if (node.type !== "CallExpression" || node.callee.type !== "MemberExpression") return null;
  const { object, property } = node.callee;
  return property.type === "Identifier" && property.name === method ? object : null;
}

/** `nonEmpty(…)`, or a list that is written down. */
function isNonEmpty(node: Node): boolean {
  if (node.type === "CallExpression") {
    return node.callee.type === "Identifier" && node.callee.name === "nonEmpty";
  }
  return node.type === "ArrayExpression" && node.elements.some((element) => element.type !== "SpreadElement");
}

/** A list that is searched for where it is used. */
function isFound(node: Node): boolean {
  if (node.type === "AwaitExpression") return true;
  return listOf(node, "filter") !== null || listOf(node, "matchAll") !== null ||
    listOf(node, "map") !== null &&
      node.type === "CallExpression" && node.callee.type === "MemberExpression" &&
      isFound(node.callee.object);
}

/** Assertions, conditional ones too, and what they are prepared with. */
function assertsOnly(body: Node): boolean {
  const statements = body.type === "BlockStatement" ? body.body : [body];
  const isClaim = (statement: Node): boolean =>
    statement.type === "ExpressionStatement" && isAssertion(statement.expression) ||
    statement.type === "IfStatement" && assertsOnly(statement.consequent) ||
    statement.type === "ForOfStatement" && assertsOnly(statement.body);
  return statements.some(isClaim) &&
    statements.every((statement) => statement.type === "VariableDeclaration" || isClaim(statement));
}
