import type { Frame, Page } from "playwright-core";

export const CARD_THAT_PAYS = "4242424242424242";
export const CARD_THAT_IS_DECLINED = "4000000000000002";

/** Somebody who pays, on a page or in a frame; the names of the fields are those of Stripe's page. */
export class PaymentPage {
  constructor(private readonly page: Frame | Page) {}

  /** Fills in everything that is asked for and presses Pay. */
  async pay(card: string): Promise<void> {
    await this.fillIn(card);
    await this.payButton.click();
  }

  async fillIn(card: string): Promise<void> {
    const values: [RegExp, string][] = [
      [/^email/i, "shopper.e2e@example.com"],
      [/^phone number/i, "2175550123"],
      [/^full name/i, "Sam Shopper"],
      [/^address line 1/i, "1 Main Street"],
      [/^city/i, "Springfield"],
      [/^state/i, "IL"],
      [/^zip code/i, "62701"],
      [/^card number/i, card],
      [/^expiration date/i, "12 / 34"],
      [/^security code/i, "123"],
      [/^cardholder name/i, "Sam Shopper"],
    ];
    await this.page.getByLabel(/^card number/i).waitFor();
    for (const [label, value] of values) {
      for (const field of await this.page.getByLabel(label).all()) {
        if (await field.isVisible() && await field.inputValue() === "") await field.fill(value);
      }
    }
    const terms = this.page.getByLabel(/terms of service/i);
    if (await terms.isVisible()) await terms.check();
  }

  get payButton() {
    return this.page.getByRole("button", { name: /^pay/i });
  }

  /** The message under the card fields, or wherever the page puts it. */
  async message(): Promise<string> {
    const alert = this.page.getByRole("alert").filter({ hasText: /\S/ }).first();
    await alert.waitFor();
    return await alert.innerText();
  }

  /** Stripe's page has a link back to the shop. */
  async goBack(): Promise<void> {
    await this.page.locator('a[href*="/store/cancelled"]').first().click();
    await this.page.waitForURL(/\/store\/cancelled/);
  }
}
