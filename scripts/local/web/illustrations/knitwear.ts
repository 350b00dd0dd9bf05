import { mirrored } from "./mirror.ts";
import { shade } from "./palette.ts";

/** A crewneck jumper, front, with ribbed collar, cuffs and hem. */
export function crewneck(color: string): string {
  const line = shade(color, -0.24);
  const fold = shade(color, -0.12);
  const half = `
<path d="M132 114L112 118C84 132 72 166 66 206L50 360C50 366 53 370 58 371L86 375C92 375 95 372 96 366L124 226Z" fill="${fold}"/>
<path d="M51 346L99 353L96 366C95 372 92 375 86 375L58 371C53 370 50 366 50 360Z" fill="url(#rib)" stroke="${line}" stroke-width="1"/>
<path d="M160 92C144 102 128 110 112 118C118 152 121 196 120 244C119 300 114 356 112 400C140 410 170 412 201 412V120C184 120 168 110 160 92Z" fill="${color}"/>
<path d="M112 118C118 152 121 196 120 244" fill="none" stroke="${line}" stroke-width="1.5"/>
<path d="M160 92C150 120 140 150 124 172" fill="none" stroke="${line}" stroke-width="1.2" opacity=".8"/>
<path d="M132 392C134 350 142 310 138 262M162 398C160 366 168 340 166 312" fill="none" stroke="${fold}" stroke-width="3.5"/>
<path d="M112 400C140 410 170 412 201 412V434C170 434 140 431 114 424C111 416 111 408 112 400Z" fill="url(#rib)" stroke="${line}" stroke-width="1"/>`;
  return `
<defs><pattern id="rib" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" fill="${
    shade(color, -0.06)
  }"/><path d="M3 0V6" stroke="${line}" stroke-width="1.4" opacity=".55"/></pattern></defs>
<path d="M160 92C170 84 186 80 200 80C214 80 230 84 240 92C234 112 218 122 200 122C182 122 166 112 160 92Z" fill="${
    shade(color, -0.36)
  }"/>
${mirrored(half)}
<path d="M160 92C164 116 182 128 200 128C218 128 236 116 240 92L230 88C226 106 214 114 200 114C186 114 174 106 170 88Z" fill="url(#rib)" stroke="${line}" stroke-width="1.2"/>`;
}
