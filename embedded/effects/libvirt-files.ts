import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Layout } from "../core/layout.ts";
import { libvirtFiles } from "../core/libvirt-files.ts";
import type { HypervisorObserved } from "../core/observed.ts";
import { defaultNetwork } from "../core/plan-hypervisor.ts";

/** Made at first start, and never overwritten: libvirt adds to it. */
const writtenOnce = "qemu/networks/default.xml";

/** Whether a file is as it shall be; one that a crash left empty is not. */
function isCurrent(etc: string, name: string, content: string): boolean {
  const file = join(etc, name);
  if (!existsSync(file)) return false;
  const found = readFileSync(file, "utf8");
  return name === writtenOnce ? found !== "" : found === content;
}

/** How the folders of our own libvirt are found; `etc` is one of them. */
export function readFolders(etc: string): HypervisorObserved["folders"] {
  if (!existsSync(dirname(etc))) return "absent";
  const files = Object.entries(libvirtFiles);
  return files.every(([name, content]) => isCurrent(etc, name, content)) ? "ready" : "outdated";
}

/** Makes those folders, and the configuration in them. */
export function writeLibvirtFiles(folders: Layout["libvirt"]): void {
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true, mode: 0o711 });
  for (const [name, content] of Object.entries(libvirtFiles)) {
    if (isCurrent(folders.etc, name, content)) continue;
    const file = join(folders.etc, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const autostart = join(folders.etc, "qemu/networks/autostart");
  mkdirSync(autostart, { recursive: true });
  const link = join(autostart, `${defaultNetwork}.xml`);
  rmSync(link, { force: true });
  symlinkSync(`/etc/libvirt/${writtenOnce}`, link);
}
