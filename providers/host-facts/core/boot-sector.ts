/**
 * A boot sector that ends QEMU with status 33 through `isa-debug-exit` once it has done what every
 * guest does: use the floating point unit, enter long mode with paging, run an SSE instruction. A
 * /dev/kvm that opens proves nothing, and some (such as PVM's) run simple real-mode code and no
 * guest at all.
 *
 *     cli; ax = ds = es = ss = 0; fwait; fninit
 *     clear 0x1000-0x3fff; [0x1000] = 0x2003; [0x2000] = 0x3003; [0x3000] = 0x83   # page tables
 *     cr3 = 0x1000; cr4 = PAE | OSFXSR; EFER |= LME; lgdt; cr0 = PG | ET | PE; ljmp 8:long
 *     long: xorps xmm0, xmm0; out 0xf4, 0x10; hlt
 *     gdt: 0, 64-bit code; gdtr: 15, gdt
 */
const code = [
  "fa31c08ed88ec08ed09bdbe3bf0010b90018fcf3abc70600100320c70600",
  "200330c7060030830066b8001000000f22d866b8200200000f22e066b980",
  "0000c00f32660d000100000f30660f0116757c66b8110000800f22c0ea5d",
  "7c08000f57c0b010e6f4f4000000000000000000000000009a20000f0065",
  "7c0000",
].join("");

/** The status with which QEMU ends when the guest wrote 0x10 to port 0xf4. */
export const guestRan = 33;

/** The 512 bytes of the sector, as escapes for the shell's `printf`. */
export function renderBootSector(): string {
  const bytes = code.padEnd(1020, "0").concat("55aa");
  return bytes.replaceAll(/../g, (byte) => `\\x${byte}`);
}
