import { z } from "zod";
import { strategies } from "../providers/image-volume/core/arguments.ts";
import {
  accelerator,
  address,
  flag,
  label,
  packages,
  publicKeys,
  sizeGiB,
  text,
  userName,
  volumeGroup,
  whole,
  provisioning,
  thinPool,
  wipe,
} from "./primitives.ts";

const attachment = z
  .strictObject({
    network: label("The network's name.", "lab"),
    address: address("The machine's address there.", "192.168.150.10"),
    dhcp: flag(
      false,
      "Ask DHCP for the address (a reservation) rather than set it in the machine.",
    ),
    mac: text(
      /^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$/,
      "a unicast MAC address",
      "Default: derived from stack, machine and network.",
      "52:54:00:12:34:56",
    ).optional(),
  })
  .meta({
    description: "An attachment to a network; the first one carries the default route.",
    examples: [{ network: "lab", address: "192.168.150.10" }],
  });

const cloudInit = z
  .strictObject({
    user: userName("Instead of ssh.user, for this machine.").optional(),
    authorizedKeys: publicKeys("Public keys let in on this machine beside the stack's."),
    packages: packages("Packages to install at first boot."),
    files: z
      .array(
        z
          .strictObject({
            path: text(/^\/\S+$/, "an absolute path", "Where to write it.", "/etc/motd"),
            content: z.string().meta({ description: "The text.", examples: ["Hello\n"] }),
            permissions: text(/^0?[0-7]{3,4}$/, "an octal mode in quotes", "Mode.", "0644").default(
              "0644",
            ),
            owner: text(
              /^[a-z_][a-z0-9_-]*:[a-z_][a-z0-9_-]*$/,
              "user:group",
              "Owner.",
              "root:root",
            ).default("root:root"),
          })
          .meta({ examples: [{ path: "/etc/motd", content: "Hello\n" }] }),
      )
      .default([])
      .meta({
        description: "Files to write.",
        examples: [[{ path: "/etc/motd", content: "Hi\n" }]],
      }),
    commands: z
      .array(
        z
          .union([z.string().min(1), z.array(z.string()).min(1)])
          .meta({ description: "A shell line, or an argv.", examples: ["echo ready"] }),
      )
      .default([])
      .meta({
        description: "Commands to run at first boot, in order.",
        examples: [["echo ready"]],
      }),
  })
  .meta({ description: "What cloud-init does at first boot.", examples: [{ packages: ["curl"] }] });

export const machine = z
  .strictObject({
    name: label("Host name and libvirt domain.", "vm1").refine(
      (name) => !/^(snapshot|pvmove)/.test(name),
      "a name that does not begin with snapshot or pvmove, which LVM keeps for itself",
    ),
    hypervisor: label("The hypervisor that runs it.", "local"),
    vcpus: whole(1, 255, "Virtual processors.", 2).default(2),
    memoryMiB: whole(128, 16_777_216, "Memory in MiB.", 1024).default(1024),
    rootVolume: z
      .strictObject({
        image: z.string().meta({ description: "Name of a base image.", examples: ["debian"] }),
        sizeGiB: sizeGiB("Size in GiB; may grow later, never shrink.", 4),
        volumeGroup: volumeGroup("Instead of the hypervisor's.").optional(),
        generation: whole(
          0,
          999_999_999,
          "Another number writes the image anew; what was on the volume is lost.",
          1,
        ).default(0),
        strategy: z
          .enum(strategies)
          .default("inPlace")
          .meta({
            description:
              "Where a new image is written: onto the volume with the machine off, or beside it while the machine runs.",
            examples: ["replace"],
          }),
        keepPrevious: flag(
          false,
          "Keep what the volume was before, to bring it back when its image and generation are asked for again.",
        ),
        allowStop: flag(
          false,
          "Stop the machine where its image or generation changed; otherwise that is refused.",
        ),
        shutdownTimeoutSeconds: whole(
          1,
          3600,
          "How long it may take to shut down before it is switched off.",
          120,
        ).default(120),
        wipe,
        provisioning: provisioning.optional(),
        thinPool: thinPool.optional(),
      })
      .meta({
        description: "The disk it boots from, the LVM volume `<machine>-root`.",
        examples: [{ image: "debian", sizeGiB: 4 }],
      }),
    volumes: z
      .array(
        z
          .strictObject({
            name: label(
              "The volume is `<machine>-<name>`; the disk's serial is the name's first 20 characters.",
              "data",
            ),
            sizeGiB: sizeGiB("Size in GiB; may grow later, never shrink.", 10),
            image: z
              .string()
              .optional()
              .meta({
                description:
                  "Name of a base image to write onto it, such as a backup; none: it is empty.",
                examples: ["vm1-data.20261129t030000z"],
              }),
            volumeGroup: volumeGroup("Instead of the hypervisor's.").optional(),
            wipe,
            provisioning: provisioning.optional(),
            thinPool: thinPool.optional(),
          })
          .meta({ examples: [{ name: "data", sizeGiB: 10 }] }),
      )
      .max(20)
      .default([])
      .meta({ description: "Further disks.", examples: [[{ name: "data", sizeGiB: 10 }]] }),
    networks: z
      .array(attachment)
      .min(1)
      .max(8)
      .meta({
        description: "Its networks; the first is the one it is reached by.",
        examples: [[{ network: "lab", address: "192.168.150.10" }]],
      }),
    cloudInit: cloudInit.prefault({}),
    firmware: z
      .enum(["bios", "uefi", "uefi-secure"])
      .default("uefi")
      .meta({
        description: "uefi-secure is UEFI with Secure Boot and Microsoft's keys.",
        examples: ["uefi"],
      }),
    accelerator: accelerator
      .exclude(["auto"])
      .optional()
      .meta({ description: "Instead of the hypervisor's.", examples: ["qemu"] }),
    vnc: flag(false, "A VNC screen on the hypervisor's loopback address."),
    autostart: flag(true, "Start it when the hypervisor starts."),
    guestAgent: flag(true, "A channel for the QEMU guest agent, and the agent itself."),
    readyTimeoutSeconds: whole(
      30,
      86_400,
      "How long to wait until SSH answers and cloud-init is done.",
      900,
    ).default(900),
  })
  .meta({
    description: "A virtual machine.",
    examples: [
      {
        name: "vm1",
        hypervisor: "local",
        rootVolume: { image: "debian", sizeGiB: 4 },
        networks: [{ network: "lab", address: "192.168.150.10" }],
      },
    ],
  });
