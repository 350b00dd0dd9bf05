/** What a template says, before it is put into the layout: plain texts only, escaped when they are rendered. */

/** A mail without its sender and recipient. */
export interface Rendered {
  subject: string;
  text: string;
  html: string;
}

/** A link of our own. */
export interface Link {
  label: string;
  url: string;
}

/** One `name: value`. */
export interface Fact {
  name: string;
  value: string;
}

/** A line of the order; `picture` is an address on the web, null for none. */
export interface BillItem {
  name: string;
  /** Number and price of one, `2 × $129.00`. */
  quantity: string;
  amount: string;
  picture: string | null;
}

/** A line of the sum below the items; `strong` is the total. */
export interface BillSum {
  name: string;
  amount: string;
  strong: boolean;
}

/** The parts of a mail from top to bottom; what is left out is not shown. */
export interface Content {
  subject: string;
  /** What a mailbox shows beside the subject. */
  preheader: string;
  heading: string;
  paragraphs: string[];
  button?: Link | null;
  facts?: Fact[];
  bill?: { items: BillItem[]; sums: BillSum[] };
  addresses?: { title: string; lines: string[] }[];
  closing?: string[];
}
