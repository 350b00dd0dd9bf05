/** One step of `deno task setup`. */
import type Stripe from "stripe";
import type { Project } from "./project.ts";
import type { SupabaseCli } from "./supabase.ts";

/** What the steps share. */
export interface SetupContext {
  project: Project;
  stripe: Stripe;
  supabase: SupabaseCli;
  /** A line for the terminal; it must carry no secret. */
  say: (line: string) => void;
}

/** What a step found; `changes` is empty when nothing is to be done. */
export interface Plan {
  changes: string[];
  apply(): Promise<void>;
}

/** Planning reads and changes nothing. */
export interface SetupStep {
  name: string;
  plan(context: SetupContext): Promise<Plan>;
}

/** Nothing to be done. */
export const settled: Plan = { changes: [], apply: () => Promise.resolve() };
