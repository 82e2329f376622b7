import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import type { ImageVolumeLab, TestImage } from "./image-volume-lab.ts";

/**
 * Waits in real mode until the power button is pressed (bit 8 of the ACPI registers that SeaBIOS puts
 * at port 0x600), then switches the machine off.
 */
const obeying = [
  ...[0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef], // mov dx,0x602; mov ax,0x100; out dx,ax
  ...[0xfb, 0xf4, 0xba, 0x00, 0x06, 0xed], // wait: sti; hlt; mov dx,0x600; in ax,dx
  ...[0xf6, 0xc4, 0x01, 0x74, 0xf5], // test ah,1; jz wait
  ...[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef], // mov dx,0x604; mov ax,0x2000; out dx,ax
];
const sleeping = [0xfb, 0xf4, 0xeb, 0xfc]; // again: sti; hlt; jmp again

export type TinyGuest = "obeys" | "ignores";

/** A disk of 1 MiB whose boot sector obeys the power button, or does not hear it. */
export function makeTinyDisk(guest: TinyGuest, key: string): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  Buffer.from(guest === "obeys" ? obeying : sleeping).copy(disk);
  disk.write(key, 256); // so that no two images are the same
  disk.writeUInt16LE(0xaa55, 510);
  return disk;
}

/** Uploads such a disk as an image. */
export async function uploadTinyGuest(
  lab: ImageVolumeLab,
  key: string,
  guest: TinyGuest,
): Promise<TestImage> {
  const disk = makeTinyDisk(guest, key);
  const raw = path.join(lab.group.folder, `${key}.raw`);
  const file = path.join(lab.group.folder, key);
  fs.writeFileSync(raw, disk);
  execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, file]);
  const content = fs.readFileSync(file);
  const digest = await lab.upload(key, content);
  return { key, digest, file, raw, bytes: content.length, virtualBytes: disk.length };
}

/** A domain with 16 MiB that boots from the device, or from a file. */
export function renderTinyDomain(
  name: string,
  disk: string,
  source: "dev" | "file" = "dev",
): string {
  return `<domain type="qemu">
    <name>${name}</name><memory unit="MiB">16</memory><vcpu>1</vcpu>
    <os><type arch="x86_64" machine="q35">hvm</type><boot dev="hd"/></os>
    <features><acpi/></features>
    <devices>
      <disk type="${source === "dev" ? "block" : "file"}" device="disk">
        <driver name="qemu" type="raw"/><source ${source}="${disk}"/><target dev="vda" bus="virtio"/>
      </disk>
    </devices>
  </domain>`;
}
