import { shade } from "./palette.ts";

/** A tie hanging straight, knot on top, with the open weave of grenadine. */
export function tie(color: string): string {
  const dark = shade(color, -0.32);
  const light = shade(color, 0.16);
  return `
<defs><pattern id="weave" width="8" height="8" patternUnits="userSpaceOnUse">
<path d="M0 2H4M4 6H8" stroke="${light}" stroke-width="1.6" opacity=".55"/><path d="M2 4V8M6 0V4" stroke="${dark}" stroke-width="1.4" opacity=".5"/></pattern></defs>
<path d="M186 128L166 408L188 442L208 412L204 128Z" fill="${dark}"/>
<path d="M180 122C176 200 160 320 152 408L200 456L248 408C240 320 224 200 220 122Z" fill="${color}"/>
<path d="M180 122C176 200 160 320 152 408L200 456L248 408C240 320 224 200 220 122Z" fill="url(#weave)"/>
<path d="M220 122C224 200 240 320 248 408L200 456C214 360 214 220 206 122Z" fill="${dark}" opacity=".24"/>
<path d="M174 52C166 60 164 72 168 82L182 124C188 130 212 130 218 124L232 82C236 72 234 60 226 52C210 46 190 46 174 52Z" fill="${
    shade(color, -0.08)
  }"/>
<path d="M174 52C166 60 164 72 168 82L182 124C188 130 212 130 218 124L232 82C236 72 234 60 226 52C210 46 190 46 174 52Z" fill="url(#weave)"/>
<path d="M182 124C188 130 212 130 218 124L216 136C208 140 192 140 184 136Z" fill="${dark}" opacity=".6"/>
<path d="M196 142C194 176 192 206 190 236" stroke="${dark}" stroke-width="3" opacity=".45" fill="none"/>
<path d="M178 58C172 66 172 76 175 84" stroke="${light}" stroke-width="3" fill="none" opacity=".6"/>`;
}
