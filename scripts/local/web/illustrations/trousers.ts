import { mirrored } from "./mirror.ts";
import { shade } from "./palette.ts";

/** Pleated trousers, front, with side adjusters. */
export function trousers(color: string): string {
  const line = shade(color, -0.42);
  const dark = shade(color, -0.16);
  const half = `
<path d="M138 76L124 190C116 262 118 350 124 444C144 450 166 450 184 446L200 212L201 208V76Z" fill="${color}"/>
<path d="M199 216L184 446C180 447 174 448 168 448C176 370 184 290 186 214Z" fill="${dark}" opacity=".75"/>
<path d="M138 76L124 190C117 256 118 340 123 430C128 330 132 220 150 104Z" fill="${
    shade(color, 0.1)
  }" opacity=".65"/>
<path d="M168 98C164 130 158 200 154 448" stroke="${line}" stroke-width="1.5" fill="none" opacity=".8"/>
<path d="M154 96C152 112 150 122 148 134" stroke="${line}" stroke-width="1.3" fill="none" opacity=".7"/>
<path d="M140 100C136 122 131 142 128 158" stroke="${line}" stroke-width="2" fill="none"/>
<path d="M124 440C144 446 166 446 184 442L184 446C166 450 144 450 124 444Z" fill="${dark}"/>
<path d="M138 74C158 70 180 70 200 70V96C180 94 156 95 135 100Z" fill="${
    shade(color, -0.07)
  }" stroke="${line}" stroke-width="1.3"/>
<path d="M139 80L158 78V90L138 93Z" fill="${dark}"/><circle cx="154" cy="84" r="3" fill="#c8b78f"/>`;
  return `${mirrored(half)}
<path d="M200 96V206M200 96C206 130 208 170 203 200" stroke="${line}" stroke-width="1.5" fill="none"/>
<circle cx="200" cy="83" r="3.6" fill="${line}"/>`;
}
