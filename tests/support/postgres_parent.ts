/** A process that starts PostgreSQL in the folder of its argument, says where it is, and stays: tests kill it. */
import { startPostgres } from "../../scripts/local/postgres.ts";

const server = await startPostgres({ dir: Deno.args[0] ?? "", port: 0 });
console.log(server.url);
await new Promise(() => setInterval(() => {}, 60_000));
