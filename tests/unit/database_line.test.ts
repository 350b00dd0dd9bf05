import assert from "node:assert/strict";
import { createCall } from "../../supabase/functions/_shared/database/client.ts";
import { createLine, type Turn } from "../../supabase/functions/_shared/database/line.ts";
import type { AppError } from "../../supabase/functions/_shared/errors.ts";
import { eventually } from "../support/poll.ts";

/** Calls that end when told to, in the order in which they got their turn. */
function office(patienceMs?: number) {
  const line = createLine(patienceMs);
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const come = (name: string, turn: Turn, signal = new AbortController().signal): Promise<void> =>
    line.pass(turn, signal, () => {
      begun.push(name);
      return new Promise((end) => ends.set(name, end));
    });
  const end = async (name: string) => {
    ends.get(name)?.();
    await settled();
  };
  return { come, end, begun };
}

/** A database that answers when told to, in the order in which it was asked; 3 unless told otherwise. */
function database() {
  const sent: ((answer?: Response) => void)[] = [];
  const call = createCall(
    { supabaseUrl: "http://database.example", secretKeys: { default: "sb_secret_a" } },
    (_input, init) => {
      const { promise, resolve, reject } = Promise.withResolvers<Response>();
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      sent.push((answer = Response.json(3)) => resolve(answer));
      return promise;
    },
  );
  return { call, sent };
}

/** Until whoever can go on has gone on: nobody here waits for a clock. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** As many as may be under way, by the names 0, 1, 2 … */
async function full({ come, begun }: ReturnType<typeof office>): Promise<Promise<void>[]> {
  const calls: Promise<void>[] = [];
  for (let at = 0; begun.length === at; at++) {
    calls.push(come(`${at}`, "goes on"));
    await settled();
    assert.ok(at < 100, "there is no end");
  }
  return calls;
}

Deno.test("the line lets twenty calls of a worker to the database, then one for each that is done; what goes on comes first", async () => {
  const here = office();
  const calls = await full(here);
  assert.equal(here.begun.length, 20);
  const starts = here.come("start", "starts");
  const goesOn = here.come("go on", "goes on");
  for (const name of ["0", "1", "2", "3"]) await here.end(name);
  assert.deepEqual(here.begun.slice(20), ["20", "go on", "start"]);
  // The place of the fourth is free again, and only that one.
  const [late, last] = [here.come("late", "starts"), here.come("last", "starts")];
  await settled();
  assert.deepEqual(here.begun.slice(23), ["late"]);
  for (const name of [...here.begun]) await here.end(name);
  await here.end("last");
  await Promise.all([...calls, starts, goesOn, late, last]);
});

Deno.test("what starts is told to come back when it has waited for long, and has not begun; what goes on waits on", async () => {
  const here = office(1);
  const calls = await full(here);
  const goesOn = here.come("go on", "goes on");
  await assert.rejects(here.come("start", "starts"), (error: AppError) => {
    assert.deepEqual([error.code, error.status], ["busy", 503]);
    assert.ok((error.retryAfterSeconds ?? 0) >= 1);
    return true;
  });
  await here.end("0");
  assert.deepEqual(here.begun.slice(20), ["20"]);
  await here.end("1");
  assert.deepEqual(here.begun.slice(20), ["20", "go on"]);
  for (const name of here.begun) await here.end(name);
  await Promise.all([...calls, goesOn]);
});

Deno.test("a call whose caller gives up in the line is never sent, and takes no place", async () => {
  const here = office();
  const calls = await full(here);
  const caller = new AbortController();
  const given = here.come("given up", "goes on", caller.signal);
  const next = here.come("next", "goes on");
  caller.abort(new Error("no time left"));
  await assert.rejects(given, { code: "database_unavailable" });
  for (const name of ["0", "1"]) await here.end(name);
  assert.deepEqual(here.begun.slice(20), ["20", "next"]);
  for (const name of here.begun) await here.end(name);
  await Promise.all([...calls, next]);
});

Deno.test("a call whose time is over when it comes is not sent either", async () => {
  const here = office();
  const calls = await full(here);
  await assert.rejects(here.come("too late", "goes on", AbortSignal.abort()), {
    code: "database_unavailable",
  });
  for (const name of here.begun) await here.end(name);
  await Promise.all(calls);
  assert(!here.begun.includes("too late"));
});

Deno.test("what starts and has waited for as long as its caller has is told to come back: the database was not asked", async () => {
  const here = office();
  const calls = await full(here);
  await assert.rejects(here.come("start", "starts", AbortSignal.abort()), { code: "busy" });
  for (const name of here.begun) await here.end(name);
  await Promise.all(calls);
});

Deno.test("createCall() gives what starts its time from its turn on, whatever it has waited; what goes on from when it came", async () => {
  for (const turn of ["starts", "goes on"] as const) {
    const { call, sent } = database();
    const calls = Array.from({ length: 20 }, () => call("count_jobs", {}));
    await eventually("the first calls", () => sent.length === 20);
    const asked: number[] = [];
    const limitMs = () => asked.push(sent.length) === 1 ? 60_000 : 1;
    const late = call.within(limitMs, turn)("count_jobs", {});
    late.catch(() => {});
    await settled();
    sent[0]?.();
    await eventually("its turn", () => sent.length === 21);
    if (turn === "starts") await assert.rejects(late, { code: "database_unavailable" });
    assert.deepEqual(asked, turn === "starts" ? [20, 20] : [20]);
    for (const answer of sent) answer();
    await Promise.allSettled([...calls, late]);
  }
});

Deno.test("createCall() keeps its place for another try", async () => {
  const { call, sent } = database();
  const first = call("count_jobs", {});
  const others = Array.from({ length: 20 }, () => call("count_jobs", {}));
  await eventually("the first calls", () => sent.length === 20);
  sent[0]?.(Response.json({ code: "40P01", message: "deadlock detected" }, { status: 500 }));
  await eventually("the next try", () => sent.length === 21);
  sent[20]?.(Response.json(4));
  assert.equal(await first, 4);
  await eventually("the last call", () => sent.length === 22);
  for (const answer of sent) answer();
  assert.deepEqual(await Promise.all(others), Array(20).fill(3));
});

Deno.test("createCall() has one line for all its calls, whatever deadline they are under", async () => {
  const { call, sent } = database();
  const calls = Array.from(
    { length: 30 },
    (_, at) => at % 2 === 0 ? call("count_jobs", {}) : call.within(() => 60_000, "starts")("count_jobs", {}),
  );
  await eventually("the first calls", () => sent.length >= 20);
  await settled();
  assert.equal(sent.length, 20);
  for (let at = 0; at < 30; at++) {
    await eventually("the next call", () => sent[at]);
    sent[at]?.();
  }
  assert.deepEqual(await Promise.all(calls), Array(30).fill(3));
});
