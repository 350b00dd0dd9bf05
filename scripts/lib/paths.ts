import { join, resolve } from "node:path";

/** Folder of this project. */
export const ROOT = resolve(import.meta.dirname ?? "", "..", "..");

/** Folder `supabase/` of this project. */
export const SUPABASE_DIR = join(ROOT, "supabase");
