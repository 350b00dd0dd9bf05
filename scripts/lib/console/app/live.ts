/** What pages have in common: who looks, and data that keeps itself current. */
/// <reference lib="dom" />
import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import type { Backend, Shop } from "./backend.ts";

/** A signed-in member of staff, and the project that they look at. */
export interface Desk {
  backend: Backend;
  shop: Shop;
  /** Has a screen reader say what has changed. */
  announce(text: string): void;
  /** Reads everything on the page again, at once. */
  refresh(): void;
  /** Counts up with each {@linkcode refresh}. */
  version: number;
}

const DeskContext = createContext<Desk | null>(null);
export const DeskProvider = DeskContext.Provider;

/** The desk of the page that asks. */
export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === null) throw new Error("useDesk() is for pages of somebody who is signed in");
  return desk;
}

/** Between two looks at the same thing. */
const PAUSE_MS = 3_000;

/** What was read last, and why it could not be read again. */
export interface Live<T> {
  data: T | null;
  problem: string | null;
}

/**
 * Reads, and reads again some seconds after each answer while the page can be seen. `subject` names what is read: when
 * it changes, that is read at once, and a late answer about the subject before is dropped.
 */
export function useLive<T>(subject: string, read: () => Promise<T>): Live<T> {
  const { version } = useDesk();
  const [live, setLive] = useState<Live<T> & { subject: string }>({ data: null, problem: null, subject });
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      if (!document.hidden) {
        try {
          const data = await latest.current();
          if (current) setLive({ data, problem: null, subject });
        } catch (error) {
          const problem = error instanceof Error ? error.message : String(error);
          if (current) setLive((before) => ({ data: before.data, problem, subject }));
        }
      }
      if (current) timer = setTimeout(look, PAUSE_MS);
    };
    look();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [subject, version]);
  return live.subject === subject ? live : { data: live.data, problem: null };
}

/** The time, which the ages and deadlines on the page are counted from; it moves with every minute. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now());
  const tick = useCallback(() => setNow(Date.now()), []);
  useEffect(() => {
    const timer = setInterval(tick, 30_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}
