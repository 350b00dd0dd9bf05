import { mirrored } from "./mirror.ts";
import { shade } from "./palette.ts";

/** Sleeve and body of a jacket on the left of the middle; `hem` is the y of its lower edge, `cuff` that of the sleeve. */
function jacketHalf(color: string, hem: number, cuff: number): string {
  const line = shade(color, -0.45);
  const dark = shade(color, -0.2);
  return `
<path d="M128 114L108 116C82 128 72 160 67 200L50 ${cuff}C50 ${cuff + 6} 53 ${cuff + 9} 58 ${cuff + 10}L88 ${
    cuff + 15
  }C94 ${cuff + 15} 97 ${cuff + 12} 98 ${cuff + 6}L121 216Z" fill="${dark}"/>
<path d="M160 84C144 100 126 108 108 116C114 152 118 190 116 232C114 ${hem - 120} 106 ${hem - 60} 102 ${
    hem - 8
  }C130 ${hem + 4} 168 ${hem + 8} 204 ${hem}L204 270L160 84Z" fill="${color}"/>
<path d="M108 116C114 152 118 190 116 232" fill="none" stroke="${line}" stroke-width="1.8"/>
<path d="M132 ${hem - 6}C134 ${hem - 60} 146 ${
    hem - 110
  } 142 244" fill="none" stroke="${line}" stroke-width="1.4" opacity=".5"/>
<g fill="${line}"><circle cx="84" cy="${cuff - 2}" r="2"/><circle cx="85" cy="${
    cuff - 11
  }" r="2"/><circle cx="86" cy="${cuff - 20}" r="2"/></g>`;
}

/** Shirt front and collar that show above the closing button at `button`. */
function shirtFront(button: number): string {
  return `<path d="M160 84C172 74 228 74 240 84L204 ${button}H196Z" fill="#f8f7f3"/>
<path d="M172 80L200 104L182 124L164 90Z" fill="#fff" stroke="#cfcfca" stroke-width="1.2"/>
<path d="M228 80L200 104L218 124L236 90Z" fill="#fff" stroke="#cfcfca" stroke-width="1.2"/>`;
}

function flap(x: number, y: number, width: number, color: string): string {
  return `<path d="M${x} ${y}L${x + width} ${y + 5}L${x + width - 1} ${y + 21}L${x - 2} ${y + 16}Z" fill="${
    shade(color, 0.05)
  }" stroke="${shade(color, -0.45)}" stroke-width="1.2"/>`;
}

/** A two-button suit jacket with notch lapels, white shirt and a dark tie. */
export function suit(color: string): string {
  const line = shade(color, -0.45);
  const light = shade(color, 0.08);
  const lapel = `
<path d="M160 84C150 96 146 108 144 122L128 136L152 146L140 160C152 200 176 244 199 284L197 236C182 190 168 136 166 88Z" fill="${light}" stroke="${line}" stroke-width="1.5"/>
<path d="M160 84C152 100 150 112 144 122L152 146L168 128C164 112 163 98 166 88Z" fill="${
    shade(color, 0.14)
  }" stroke="${line}" stroke-width="1.3"/>`;
  return `
<g transform="translate(0 0)">${shirtFront(290)}
<path d="M192 106H208L212 122L206 132L212 240L200 286L188 240L194 132L188 122Z" fill="#5b2230"/>
<path d="M189 124L211 124" stroke="#3c1420" stroke-width="2"/>
${mirrored(jacketHalf(color, 424, 372))}
${mirrored(lapel)}
<path d="M204 286C204 340 206 390 214 424" stroke="${line}" stroke-width="1.8" fill="none"/>
<path d="M196 424L204 396L214 425Z" fill="${shade(color, -0.5)}"/>
<circle cx="200" cy="292" r="5" fill="${line}"/><circle cx="201" cy="332" r="5" fill="${line}"/>
${flap(122, 336, 46, color)}<g transform="translate(400 0) scale(-1 1)">${flap(122, 336, 46, color)}</g>
<path d="M244 196L276 191L277 200L245 205Z" fill="${light}" stroke="${line}" stroke-width="1.2"/>
<path d="M248 196L254 182L260 192L267 180L272 192Z" fill="#f8f7f3"/></g>`;
}

/** A dinner jacket: satin shawl collar, one covered button, bow tie. */
export function tuxedo(color: string): string {
  const line = shade(color, -0.6);
  const satin = shade(color, 0.16);
  const collar = `
<path d="M160 84C142 104 132 134 138 164C146 212 176 262 200 304L198 258C180 208 166 146 166 88Z" fill="${satin}" stroke="${line}" stroke-width="1.4"/>
<path d="M152 106C142 130 144 160 152 184C160 210 174 238 186 262" stroke="${
    shade(color, 0.42)
  }" stroke-width="3" fill="none" opacity=".55"/>`;
  const studs = [150, 186, 222].map((y) => `<circle cx="200" cy="${y}" r="3" fill="#222"/>`).join("");
  return `${shirtFront(306)}
<path d="M186 128V262M214 128V262M193 126V280M207 126V280" stroke="#dcdad3" stroke-width="1.4"/>${studs}
${mirrored(jacketHalf(color, 424, 372))}
${mirrored(collar)}
<path d="M200 106C186 96 174 94 166 98C164 106 164 118 167 126C176 128 188 122 200 114C212 122 224 128 233 126C236 118 236 106 234 98C226 94 214 96 200 106Z" fill="#17181b" stroke="#3a3b40" stroke-width="1.2"/>
<rect x="194" y="102" width="12" height="16" rx="3" fill="#2c2d32"/>
<path d="M203 306C204 350 206 392 214 424" stroke="${line}" stroke-width="1.8" fill="none"/>
<path d="M196 425L203 384L214 425Z" fill="${line}"/>
<circle cx="200" cy="312" r="5.5" fill="${satin}" stroke="${line}"/>
<path d="M124 344L168 348" stroke="${satin}" stroke-width="5"/><path d="M276 344L232 348" stroke="${satin}" stroke-width="5"/>
<path d="M246 200L276 195L277 203L247 208Z" fill="${satin}" stroke="${line}"/>
<path d="M249 199C252 186 258 190 260 184C264 190 270 184 273 195Z" fill="#f8f7f3"/>`;
}

/** A long single-breasted overcoat, collar closed over a dark knit. */
export function overcoat(color: string): string {
  const line = shade(color, -0.4);
  const light = shade(color, 0.1);
  const lapel = `
<path d="M158 72C146 88 138 104 134 124L120 138L146 150L138 162C152 192 176 220 199 246L197 206C180 168 168 120 168 78Z" fill="${light}" stroke="${line}" stroke-width="1.5"/>
<path d="M158 72C148 92 142 108 134 124L146 150L168 126C164 108 164 92 168 78Z" fill="${
    shade(color, 0.18)
  }" stroke="${line}" stroke-width="1.3"/>`;
  const half = `
<path d="M124 106L104 110C78 124 68 158 63 200L44 370C44 376 47 380 52 381L84 386C90 386 93 383 94 377L118 216Z" fill="${
    shade(color, -0.16)
  }"/>
<path d="M158 72C142 92 122 102 104 110C112 150 114 190 112 236C110 310 100 380 94 446C126 458 166 460 206 456V230L158 72Z" fill="${color}"/>
<path d="M104 110C112 150 114 190 112 236" fill="none" stroke="${line}" stroke-width="1.8"/>
<path d="M120 450C124 400 136 350 132 290" fill="none" stroke="${line}" stroke-width="1.4" opacity=".45"/>
<path d="M122 300L130 352" stroke="${line}" stroke-width="6" opacity=".75"/><path d="M124 302L131 350" stroke="${light}" stroke-width="2.4"/>`;
  const buttons = [256, 304, 352].map((y) =>
    `<circle cx="200" cy="${y}" r="6" fill="${line}"/><circle cx="200" cy="${y}" r="3" fill="${
      shade(color, -0.2)
    }"/>`
  ).join("");
  return `<path d="M160 74C172 64 228 64 240 74L204 240H196Z" fill="#2d3038"/>
<path d="M172 70C178 82 190 88 200 88C210 88 222 82 228 70C212 62 188 62 172 70Z" fill="#3d414b"/>
${mirrored(half)}${mirrored(lapel)}
<path d="M208 244C208 320 208 400 210 456" stroke="${line}" stroke-width="1.8" fill="none"/>${buttons}`;
}
