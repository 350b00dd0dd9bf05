import type { Page } from "playwright-core";

/** A variant as a shopper finds it. */
export interface Choice {
  slug: string;
  color: string;
  /** Left out for products of one size. */
  size?: string;
}

export const WHITE_SHIRT: Choice = { slug: "oxford-shirt", color: "White", size: "M" };
export const BLUE_SHIRT: Choice = { slug: "oxford-shirt", color: "Blue", size: "M" };
export const BURGUNDY_TIE: Choice = { slug: "silk-tie", color: "Burgundy" };

/** What a shopper does in the demo store, in the store's own words. */
export class Shopper {
  constructor(readonly page: Page, private readonly webUrl: string) {}

  async open(path: string): Promise<void> {
    await this.page.goto(`${this.webUrl}/store${path}`);
    await this.page.locator("main:not([aria-busy])").waitFor();
  }

  /** Picks colour and size with the mouse and puts `quantity` pieces into the bag. */
  async addToBag(choice: Choice, quantity = 1): Promise<void> {
    await this.open(`/products/${choice.slug}`);
    await this.choose("color", choice.color);
    if (choice.size !== undefined) await this.choose("size", choice.size);
    for (let piece = 1; piece <= quantity; piece++) {
      await this.page.getByRole("button", { name: "Add to bag" }).click();
      await this.page.getByText("Added to your bag").waitFor();
    }
  }

  private async choose(group: string, value: string): Promise<void> {
    await this.page.locator(`input[name="${group}"][value="${value}"]`).check({ force: true });
  }

  async openBag(): Promise<void> {
    await this.open("/cart");
  }

  get checkoutButton() {
    return this.page.locator("#checkout");
  }

  /** From the bag to the payment page; answers the session's id. */
  async checkOut(): Promise<string> {
    await this.openBag();
    await this.checkoutButton.click();
    return await this.onPaymentPage();
  }

  /** Waits for the payment page and answers the session's id. */
  async onPaymentPage(): Promise<string> {
    await this.page.waitForURL(/\/c\/pay\/cs_/);
    const id = /\/c\/pay\/(cs_\w+)/.exec(this.page.url())?.[1];
    if (id === undefined) throw new Error(`no session in ${this.page.url()}`);
    return id;
  }

  /** The box that says what went wrong or well. */
  async notice(): Promise<string> {
    return await this.page.locator(".notice").first().innerText();
  }

  async openSuccessPage(session: string): Promise<void> {
    await this.page.goto(`${this.webUrl}/store/success?session_id=${session}`);
  }

  /** Waits until the success page shows this status, as the API names it. */
  async followUntil(status: string): Promise<void> {
    await this.page.waitForURL(/\/store\/success\?session_id=cs_/);
    await this.page.locator(`[data-status="${status}"]`).waitFor();
  }

  async signIn(email: string): Promise<void> {
    await this.open("/account");
    await this.page.getByLabel("E-mail").fill(email);
    await this.page.getByLabel("Password").fill("demo-password");
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.getByRole("heading", { name: "My orders" }).waitFor();
  }
}
