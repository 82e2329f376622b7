import { z } from "zod";
import { provisionings } from "../providers/image-volume/core/thin.ts";
import { isAddress } from "../components/planning/addresses.ts";

/** Names become host names, domains and parts of volume names, so they are RFC 1123 labels. */
const labelPattern = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
export const label = (description: string, example: string) =>
  z
    .string()
    .regex(labelPattern, "lower-case letters, digits and inner hyphens, at most 63 characters")
    .meta({ description, examples: [example] });

export const text = (pattern: RegExp, expected: string, description: string, example: string) =>
  z
    .string()
    .regex(pattern, expected)
    .meta({ description, examples: [example] });

export const whole = (minimum: number, maximum: number, description: string, example: number) =>
  z
    .int()
    .min(minimum)
    .max(maximum)
    .meta({ description, examples: [example] });

export const flag = (value: boolean, description: string) =>
  z
    .boolean()
    .default(value)
    .meta({ description, examples: [value] });

export const address = (description: string, example: string) =>
  z
    .string()
    .refine(isAddress, "an IPv4 address")
    .meta({ description, examples: [example] });

export const httpUrl = (description: string, example: string) =>
  z.url({ protocol: /^https?$/ }).meta({ description, examples: [example] });

export const sizeGiB = (description: string, example: number) =>
  whole(1, 65_536, description, example);

export const volumeGroup = (description: string) =>
  text(
    /^(?![.-])[A-Za-z0-9+_.-]{1,127}$/,
    "letters, digits and +_.-, not starting with . or -",
    description,
    "groundwork",
  );

export const userName = (description: string) =>
  text(
    /^[a-z_][a-z0-9_-]{0,31}$/,
    "a Linux user name: lower-case letters, digits, _ and -",
    description,
    "deploy",
  ).refine((name) => name !== "root", "a user other than root, whose login is switched off");

const publicKey = text(
  /^(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com) [A-Za-z0-9+/]+={0,3}( [^\r\n]*)?$/,
  "one line of an OpenSSH .pub file",
  "A public key as OpenSSH writes it into a .pub file.",
  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH0s5v0m1e user@laptop",
);
export const publicKeys = (description: string) =>
  z
    .array(publicKey)
    .default([])
    .meta({ description, examples: [[]] });

export const packages = (description: string) =>
  z
    .array(text(/^[a-z0-9][a-z0-9+.-]+$/, "a package name", "A package by its name.", "curl"))
    .default([])
    .meta({ description, examples: [["curl"]] });

export const accelerator = z.enum(["auto", "kvm", "qemu"]);

export const wipe = z
  .enum(["discard", "zero", "none"])
  .default("zero")
  .meta({
    description:
      "What becomes of the content when the volume is removed: zero it, tell the device that it may forget it, or nothing.",
    examples: ["zero"],
  });

export const provisioning = z.enum(provisionings).meta({
  description:
    "Whether the volume takes its space from a thin pool as it is written, or all of it at once; by default thin where there is one thin pool.",
  examples: ["thin"],
});

export const thinPool = text(
  /^(?![.-])[A-Za-z0-9+_.-]{1,100}$/,
  "letters, digits and +_.-, not starting with . or -",
  "A thin pool of the volume group; by default its only one.",
  "pool",
);
