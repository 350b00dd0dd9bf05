import { html, type Part } from "../../stand-in/http/html.ts";

/** Rows that a page shows of a list. */
const PAGE_ROWS = 200;

/** One page of a list: `name` is the parameter of the address that counts its pages, from 1. */
export class Paging {
  readonly offset: number;
  /** One more than the page shows tells whether there is another page. */
  readonly limit = PAGE_ROWS + 1;
  readonly #page: number;

  constructor(private readonly url: URL, private readonly name: string) {
    const page = Number(url.searchParams.get(name) ?? "1");
    this.#page = Number.isSafeInteger(page) && page > 0 ? page : 1;
    this.offset = (this.#page - 1) * PAGE_ROWS;
  }

  /** Draws the page of `rows`, of which there may be `limit`, and the way to the pages before and behind it. */
  show<T>(rows: readonly T[], draw: (rows: readonly T[]) => Part): Part {
    const more = rows.length > PAGE_ROWS;
    if (!more && this.#page === 1) return draw(rows);
    const shown = rows.slice(0, PAGE_ROWS);
    const range = shown.length === 0 ? "No rows here" : `${this.offset + 1} to ${this.offset + shown.length}`;
    return html`
      ${draw(shown)}
      <nav class="pages" aria-label="Pages of this list">
        <ul>
          ${this.#page > 1 && html`<li><a href="${this.#address(this.#page - 1)}" rel="prev">Back</a></li>`}
          <li>${range}</li>
          ${more && html`<li><a href="${this.#address(this.#page + 1)}" rel="next">More</a></li>`}
        </ul>
      </nav>
    `;
  }

  /** {@linkcode show} for a list that is at hand as a whole. */
  showOf<T>(all: readonly T[], draw: (rows: readonly T[]) => Part): Part {
    return this.show(all.slice(this.offset, this.offset + this.limit), draw);
  }

  #address(page: number): string {
    const params = new URLSearchParams(this.url.searchParams);
    params.set(this.name, String(page));
    return `${this.url.pathname}?${params}`;
  }
}
