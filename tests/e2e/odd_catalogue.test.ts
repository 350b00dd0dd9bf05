/** The store with things that have no colour, size, text or picture, cost nothing, or are priced in another currency. */
import assert from "node:assert/strict";
import { shopFloor } from "./shop_floor.ts";
import type { Shopper } from "./shopper.ts";

const { floor, test } = shopFloor();

async function addOddThings(): Promise<void> {
  const { sql } = floor().stack;
  await sql`
    insert into public.products (slug, name, image_url) values
      ('gift-card', 'Gift Card', null), ('flat-cap', 'Flat Cap', '/store/images/nothing.svg'),
      ('euro-scarf', 'Euro Scarf', null), ('sample', 'Sample', null), ('gone', 'Gone', null)
    on conflict do nothing`;
  await sql`
    insert into public.product_variants (product_id, sku, size, color, price_amount, currency, active)
    select p.id, v.sku, v.size, v.color, v.price, v.currency, v.sku <> 'GONE'
    from public.products p join (values
      ('gift-card', 'GIFT', null, null, 5000, 'usd'), ('flat-cap', 'CAP-NVY-S', 'S', 'Navy', 4000, 'usd'),
      ('flat-cap', 'CAP-M', 'M', null, 4500, 'usd'), ('flat-cap', 'CAP', null, null, 4500, 'usd'),
      ('euro-scarf', 'SCARF', null, 'Red', 3000, 'eur'), ('sample', 'SAMPLE', null, null, 0, 'usd'),
      ('gone', 'GONE', null, null, 100, 'usd')
    ) v (slug, sku, size, color, price, currency) on v.slug = p.slug
    on conflict do nothing`;
  await sql`
    insert into public.inventory_levels (variant_id, on_hand)
    select id, case sku when 'SCARF' then 2 else 5 end from public.product_variants
    where sku in ('GIFT', 'CAP-NVY-S', 'CAP-M', 'CAP', 'SCARF', 'SAMPLE')
    on conflict (variant_id) do update set on_hand = excluded.on_hand`;
}

async function mainText({ page }: Shopper): Promise<string> {
  return await page.locator("main").innerText();
}

/** A picture that is there but cannot be seen. */
async function brokenPictures({ page }: Shopper): Promise<number> {
  await page.waitForLoadState("networkidle");
  return await page.evaluate<number>(
    "[...document.images].filter((image) => image.complete && image.naturalWidth === 0).length",
  );
}

test("store: things without colour, size, text or picture are listed, shown and bought", async () => {
  await addOddThings();
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  await shopper.open("");
  const list = await mainText(shopper);
  assert.match(list, /Gift Card\s+\$50\.00/);
  assert.match(list, /Flat Cap\s+From \$40\.00/);
  assert.match(list, /Sample\s+\$0\.00/);
  assert.doesNotMatch(list, /Gone|null|undefined|NaN/);
  for (const tile of await page.locator(".tile").all()) await tile.scrollIntoViewIfNeeded();
  assert.equal(await brokenPictures(shopper), 0);

  await shopper.open("/products/gift-card");
  assert.doesNotMatch(await mainText(shopper), /Colour|Size|null|undefined|NaN/);
  assert.equal(await page.locator(".no-picture").innerText(), "GC");
  await page.getByRole("button", { name: "Add to bag" }).click();
  await page.getByText("Added to your bag").waitFor();
  const session = await shopper.checkOut();
  assert.deepEqual(await floor().linesOf(session), [["GIFT", 1]]);

  await shopper.open("/products/gone");
  assert.match(await mainText(shopper), /We do not carry this piece any more/);
});

test("store: where only some variants have a colour or size, each can be chosen", async () => {
  await addOddThings();
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  await shopper.open("/products/flat-cap");
  assert.equal(await brokenPictures(shopper), 0);
  assert.equal(await page.getByRole("img", { name: /^Flat Cap/ }).innerText(), "FC");
  await page.getByRole("radio", { name: "Plain" }).first().check({ force: true });
  assert.match(await mainText(shopper), /Colour: Plain/);
  await page.locator('input[name="size"][value=""]').check({ force: true });
  await page.getByRole("button", { name: "Add to bag" }).click();
  await page.getByText("Added to your bag").waitFor();
  const session = await shopper.checkOut();
  assert.deepEqual(await floor().linesOf(session), [["CAP", 1]]);
  assert.equal(await page.locator(".line-picture").first().innerText(), "FC");
});

test("bag: two currencies are neither added up nor paid together", async () => {
  await addOddThings();
  const { shopper } = await floor().visitor();
  const { page } = shopper;
  for (const slug of ["gift-card", "euro-scarf"]) {
    await shopper.open(`/products/${slug}`);
    await page.getByRole("button", { name: "Add to bag" }).click();
    await page.getByText("Added to your bag").waitFor();
  }
  await shopper.openBag();
  assert.equal(await page.locator("#subtotal").innerText(), "$50.00 and €30.00");
  assert.match(await shopper.notice(), /Two currencies in one bag/);
  assert.equal(await shopper.checkoutButton.isDisabled(), true);
  await page.getByRole("button", { name: /^Remove Euro Scarf/ }).click();
  assert.equal(await page.locator("#subtotal").innerText(), "$50.00");
  assert.equal(await shopper.checkoutButton.isDisabled(), false);
});

test("store: a thing of one variant that is sold out says so", async () => {
  await addOddThings();
  await floor().stack.sql`
    update public.inventory_levels l set on_hand = 0
    from public.product_variants v where v.id = l.variant_id and v.sku = 'SCARF'`;
  const { shopper } = await floor().visitor();
  await shopper.open("/products/euro-scarf");
  assert.match(await mainText(shopper), /Colour: Red[\s\S]*Sold out\./);
  assert.equal(await shopper.page.locator("#add").isDisabled(), true);
});
