import type postgres from "postgres";
import type { Story } from "./story.ts";

/** What must be true at the end, whatever came first. */
export interface Ending {
  status: string;
  fulfillment: string;
  /** Pieces on the shelf, reserved and sold, of the ten that there were; the order has two. */
  stock: [onHand: number, reserved: number, committed: number];
  paid: number;
  refunded: number;
  /** Mails, in alphabetical order. */
  mails: string[];
  /** Jobs other than mails, alerts and refreshes: kind and what they are about, in alphabetical order. */
  jobs: string[];
  /** Kinds of alerts, in alphabetical order. */
  alerts: string[];
}

export interface Lifecycle {
  name: string;
  /** Sessions that the checkout attached before the first event. Default: one, `a`. */
  sessions?: string[];
  tell(story: Story): void;
  /** Staff cancel: at once, or after the events of these types; the others come in any order. */
  cancelAfter?: string[];
  /** What staff and jobs do after the events of these types; the others come in any order. */
  act?: { after: string[]; by(sql: postgres.ReservedSql | postgres.Sql, story: Story): Promise<void> };
  end: Partial<Ending>;
}
