/** Secrets that we make ourselves. */
import { linkDays } from "../../../supabase/functions/_shared/checkout/order_link.ts";
import { list, randomSecret, type Rotation, workerMs } from "./rotation.ts";

/** Signs the links in mails, and reads them. */
export const linkSigning: Rotation = {
  variable: "LINK_SIGNING_SECRET",
  shape: list,
  checkedHere: true,
  outlives: true,
  finishAfterMs: linkDays * 86_400_000 + workerMs,
  says: {
    obtain: "make a new secret, and have the functions accept links of both",
    use: "sign links with the new one",
    retire: "accept no link of the old one any more",
  },
  obtain: (_context, _progress, keep) => keep(randomSecret()),
};

/** What monitors present. */
export const metricsToken: Rotation = {
  variable: "METRICS_TOKEN",
  shape: list,
  checkedHere: true,
  finishAfterMs: 0,
  says: {
    obtain: "make a new token, and have the functions accept both",
    use: "put the new one in front, for whoever copies it",
    retire: "accept the old one no more",
    hand: "give each monitor the first token of METRICS_TOKEN in the env file (docs/monitoring.md)",
  },
  obtain: (_context, _progress, keep) => keep(randomSecret()),
};
