// @ts-check
/// <reference lib="dom" />
/**
 * What a shop's page uses of Stripe.js, for pages that are tried offline: it mounts Stripe's page in a frame. Elements
 * are not played: their calls say so.
 */
(() => {
  const here = new URL(/** @type {HTMLScriptElement} */ (document.currentScript).src).origin;

  /** @param {string} what
   * @returns {never} */
  function refuse(what) {
    throw new Error(`IntegrationError: ${what}`);
  }

  /** @param {string} secret
   * @param {(() => void) | undefined} onComplete */
  function embeddedPage(secret, onComplete) {
    const frame = document.createElement("iframe");
    frame.title = "Secure payment";
    frame.name = "embedded-checkout";
    frame.allow = "payment *";
    frame.src = `${here}/c/embed/${encodeURIComponent(secret)}`;
    frame.style.cssText = "width: 100%; border: 0; min-height: 600px";
    /** @param {MessageEvent} event */
    const hear = ({ origin, source, data }) => {
      if (origin !== here || source !== frame.contentWindow) return;
      if (data?.kind === "checkout-height") frame.style.height = `${data.height}px`;
      if (data?.kind === "checkout-redirect") globalThis.location.assign(data.url);
      if (data?.kind !== "checkout-complete") return;
      if (data.redirect === null) onComplete?.();
      else globalThis.location.assign(data.redirect);
    };
    const unmount = () => {
      globalThis.removeEventListener("message", hear);
      frame.remove();
    };
    return {
      /** @param {string | Element} target */
      mount(target) {
        const place = typeof target === "string" ? document.querySelector(target) : target;
        if (place === null) return refuse(`The selector ${target} is not on the page.`);
        globalThis.addEventListener("message", hear);
        place.append(frame);
      },
      unmount,
      destroy: unmount,
    };
  }

  /** @param {string} key */
  function Stripe(key) {
    if (!/^pk_test_\w+$/.test(key)) refuse("Stripe() needs a publishable key, pk_test_…");
    /** @type {{ destroy(): void } | null} */
    let embedded = null;
    return {
      /** @param {{ fetchClientSecret: () => Promise<string>, onComplete?: () => void }} options */
      async createEmbeddedCheckoutPage({ fetchClientSecret, onComplete }) {
        if (embedded !== null) refuse("You cannot have multiple Embedded Checkout objects.");
        embedded = { destroy() {} };
        const secret = await fetchClientSecret();
        const mounted = embeddedPage(secret, onComplete);
        embedded = mounted;
        const destroy = () => {
          mounted.destroy();
          embedded = null;
        };
        return { ...mounted, destroy };
      },
      initCheckoutElementsSdk: () =>
        refuse("the local Stripe stand-in plays the embedded page, not elements."),
    };
  }

  Object.assign(globalThis, { Stripe });
})();
