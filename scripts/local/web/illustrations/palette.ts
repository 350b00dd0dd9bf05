/** Cloth colours by the name a variant carries, as hex. */
const CLOTHS: Readonly<Record<string, string>> = {
  black: "#24252a",
  blue: "#a9c3e2",
  "bottle green": "#2c4a3c",
  brown: "#5f3d29",
  burgundy: "#6e2233",
  camel: "#bd935f",
  charcoal: "#43474f",
  forest: "#2f4d3b",
  grey: "#8d9096",
  navy: "#243352",
  oatmeal: "#d9ccb5",
  white: "#f7f6f2",
};

/** The hex value of a colour name, or `fallback` for a name the illustrator has no cloth for. */
export function cloth(name: string, fallback: string): string {
  return CLOTHS[name.trim().toLowerCase()] ?? CLOTHS[fallback] ?? "#8d9096";
}

/** Mixes a hex colour towards black (negative) or white (positive); `amount` from -1 to 1. */
export function shade(hex: string, amount: number): string {
  const target = amount < 0 ? 0 : 255;
  const channels = [1, 3, 5].map((at) => {
    const value = parseInt(hex.slice(at, at + 2), 16);
    return Math.round(value + (target - value) * Math.abs(amount)).toString(16).padStart(2, "0");
  });
  return `#${channels.join("")}`;
}
