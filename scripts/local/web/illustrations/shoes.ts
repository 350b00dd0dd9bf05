import { shade } from "./palette.ts";

/** One shoe in profile, toe to the right. */
function shoe(color: string): string {
  const line = shade(color, -0.45);
  const light = shade(color, 0.22);
  const dark = shade(color, -0.2);
  return `
<path d="M52 150L58 170H108L112 158C170 172 250 174 318 172C330 171 335 164 334 156L52 140Z" fill="#2a211c"/>
<path d="M54 62C50 92 48 122 52 146C110 152 240 160 334 157C336 130 316 112 284 104C250 96 216 84 184 56C172 46 160 50 152 60C130 74 90 74 72 60C64 54 56 54 54 62Z" fill="${color}"/>
<path d="M250 96C284 104 334 116 334 157C310 158 276 158 246 156C262 140 264 116 250 96Z" fill="${dark}"/>
<path d="M250 96C264 116 262 140 246 156" stroke="${light}" stroke-width="1.6" stroke-dasharray="3 3" fill="none"/>
<path d="M244 95C258 116 256 140 240 156" stroke="${line}" stroke-width="1.5" fill="none"/>
<path d="M278 112C300 116 316 126 322 140" stroke="${light}" stroke-width="6" opacity=".5" fill="none"/>
<path d="M118 72C122 104 140 134 172 152" stroke="${line}" stroke-width="1.6" fill="none"/>
<path d="M152 60C150 82 168 104 204 118L238 96C216 86 200 72 184 56C172 46 160 50 152 60Z" fill="${dark}" stroke="${line}" stroke-width="1.3"/>
${
    [[168, 62, 188, 80], [180, 74, 198, 90], [194, 84, 211, 100], [208, 92, 226, 106]].map((
      [x1, y1, x2, y2],
    ) => `<path d="M${x1} ${(y1 ?? 0) - 6}L${x2} ${(y2 ?? 0) - 16}" stroke="${light}" stroke-width="3.4"/>`)
      .join("")
  }
<path d="M54 62C56 54 64 54 72 60C90 74 130 74 152 60" stroke="${line}" stroke-width="3" fill="none"/>
<path d="M66 82C62 104 62 124 66 144" stroke="${light}" stroke-width="4" opacity=".35" fill="none"/>
<path d="M52 146C110 152 240 160 334 157L334 162C240 166 110 158 53 152Z" fill="${shade(color, -0.6)}"/>`;
}

/** A pair of cap-toe oxfords, one behind the other. */
export function shoes(color: string): string {
  return `<g transform="translate(44 120) scale(.88)" opacity=".96">${shoe(shade(color, -0.12))}</g>
<g transform="translate(8 252) scale(1.06)">${shoe(color)}</g>`;
}
