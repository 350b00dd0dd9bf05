/** Where the big carriers show a parcel. Others get no link: a guessed one would lead nowhere. */

const pages: readonly [name: RegExp, address: string][] = [
  [/^ups$/i, "https://www.ups.com/track?tracknum="],
  [/^usps$/i, "https://tools.usps.com/go/TrackConfirmAction?tLabels="],
  [/^fed ?ex$/i, "https://www.fedex.com/fedextrack/?trknbr="],
  [/^dhl\b/i, "https://www.dhl.com/global-en/home/tracking.html?tracking-id="],
  [/^dpd$/i, "https://www.dpdgroup.com/mydpd/my-parcels/track?parcelNumber="],
  [/^gls$/i, "https://gls-group.com/track/"],
  [/^royal ?mail$/i, "https://www.royalmail.com/track-your-item#/tracking-results/"],
  [
    /^(canada post|postes canada)$/i,
    "https://www.canadapost-postescanada.ca/track-reperage/en#/search?searchFor=",
  ],
];

/** The carrier's page for a parcel; null for a carrier that is not known, or a number that is none. */
export function trackingUrl(carrier: string, trackingNumber: string): string | null {
  if (!/^[A-Za-z0-9][A-Za-z0-9 -]{3,49}$/.test(trackingNumber)) return null;
  const page = pages.find(([name]) => name.test(carrier.trim()))?.[1];
  return page === undefined ? null : page + encodeURIComponent(trackingNumber.replaceAll(" ", ""));
}
