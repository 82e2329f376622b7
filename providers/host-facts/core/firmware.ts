/** UEFI firmware on the host: the code that all guests share and the template of their variables. */
export interface Firmware {
  code: string;
  vars: string;
}

/** What kinds of UEFI firmware a host has. Secure means: with Microsoft's keys enrolled. */
export interface FirmwareChoice {
  uefi?: Firmware;
  uefiSecure?: Firmware;
}

const pair = (folder: string, code: string, vars: string): Firmware => ({
  code: `${folder}/${code}`,
  vars: `${folder}/${vars}`,
});

/** Where distributions keep them; the first pair that is there wins. */
const candidates: Record<keyof FirmwareChoice, readonly Firmware[]> = {
  uefi: [
    pair("/usr/share/OVMF", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"), // Debian 12, Ubuntu 22.10
    pair("/usr/share/edk2/x64", "OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"), // Arch
    pair("/usr/share/edk2/ovmf", "OVMF_CODE.fd", "OVMF_VARS.fd"), // Fedora, RHEL
    pair("/usr/share/OVMF", "OVMF_CODE.fd", "OVMF_VARS.fd"), // older Debian and Ubuntu
    pair("/usr/share/edk2-ovmf/x64", "OVMF_CODE.fd", "OVMF_VARS.fd"), // older Arch
    pair("/usr/share/qemu", "ovmf-x86_64-code.bin", "ovmf-x86_64-vars.bin"), // openSUSE
  ],
  uefiSecure: [
    pair("/usr/share/OVMF", "OVMF_CODE_4M.ms.fd", "OVMF_VARS_4M.ms.fd"),
    pair("/usr/share/edk2/ovmf", "OVMF_CODE.secboot.fd", "OVMF_VARS.secboot.fd"),
    pair("/usr/share/OVMF", "OVMF_CODE.ms.fd", "OVMF_VARS.ms.fd"),
    pair("/usr/share/qemu", "ovmf-x86_64-ms-code.bin", "ovmf-x86_64-ms-vars.bin"),
  ],
};

/** Every file worth looking for. */
export const firmwareFiles: readonly string[] = [
  ...new Set(
    [...candidates.uefi, ...candidates.uefiSecure].flatMap(({ code, vars }) => [code, vars]),
  ),
];

/** Chooses among the files that are there. */
export function planFirmware(present: ReadonlySet<string>): FirmwareChoice {
  const first = (kind: keyof FirmwareChoice): Firmware | undefined =>
    candidates[kind].find(({ code, vars }) => present.has(code) && present.has(vars));
  const [uefi, uefiSecure] = [first("uefi"), first("uefiSecure")];
  return { ...(uefi && { uefi }), ...(uefiSecure && { uefiSecure }) };
}
