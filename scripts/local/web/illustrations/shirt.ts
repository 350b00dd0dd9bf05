import { mirrored } from "./mirror.ts";
import { shade } from "./palette.ts";

/** A button-down shirt, front, collar closed. */
export function shirt(color: string): string {
  const line = shade(color, -0.28);
  const fold = shade(color, -0.1);
  const half = `
<path d="M130 110L112 112C88 124 78 152 72 190L54 352C53 360 56 363 62 364L88 369C94 370 97 367 98 360L120 214Z" fill="${fold}"/>
<path d="M55 344L101 352L98 362C97 367 94 370 88 369L62 364C56 363 53 360 54 352Z" fill="${
    shade(color, -0.04)
  }" stroke="${line}" stroke-width="1.2"/>
<path d="M166 84C150 96 130 104 112 112C116 150 118 190 117 236C116 300 110 360 106 414C128 430 160 436 201 436V96Z" fill="${color}"/>
<path d="M112 112C116 150 118 190 117 236" fill="none" stroke="${line}" stroke-width="1.4"/>
<path d="M124 420C122 360 134 300 130 240M150 431C148 380 158 330 156 286" fill="none" stroke="${fold}" stroke-width="3"/>
<path d="M166 84C150 96 130 104 114 111C132 118 152 120 168 122Z" fill="${fold}" opacity=".7"/>`;
  const buttons = [138, 186, 234, 282, 330, 378].map((y) =>
    `<circle cx="200" cy="${y}" r="3.4" fill="#fffdf6" stroke="${line}" stroke-width="1"/>`
  ).join("");
  const collar = `
<path d="M163 82C170 72 186 68 200 68C214 68 230 72 237 82L228 112L200 118L172 112Z" fill="${
    shade(color, -0.16)
  }"/>
<path d="M200 104C186 98 174 90 164 80C158 92 156 108 158 124L178 138C186 128 194 116 200 104Z" fill="${color}" stroke="${line}" stroke-width="1.4"/>
<path d="M200 104C214 98 226 90 236 80C242 92 244 108 242 124L222 138C214 128 206 116 200 104Z" fill="${color}" stroke="${line}" stroke-width="1.4"/>
<circle cx="171" cy="127" r="2.4" fill="#fffdf6" stroke="${line}"/><circle cx="229" cy="127" r="2.4" fill="#fffdf6" stroke="${line}"/>`;
  const placket =
    `<path d="M191 108V436M209 108V436" stroke="${line}" stroke-width="1.1" fill="none" opacity=".75"/>`;
  const pocket =
    `<path d="M228 196H266V232L247 242L228 232Z" fill="${color}" stroke="${line}" stroke-width="1.2"/><path d="M228 204H266" stroke="${line}" stroke-width="1"/>`;
  return mirrored(half) + placket + pocket + buttons + collar;
}
