/** What the site needs to know about the rest of the stack. */
export interface WebOptions {
  /** 0 takes any free port. */
  port: number;
  /** LOCAL_DIR; mails are kept in its `mails` folder. */
  dir: string;
  apiUrl: string;
  stripeUrl: string;
  dbUrl: string;
  publishableKey: string;
  secretKey: string;
  /** Signs what is reported of mails; without it nothing is. */
  mailWebhookSecret?: string;
}

/** Answers a request under its own path prefix, or null when nothing is there. */
export type Pages = (request: Request, url: URL) => Promise<Response | null> | Response | null;
