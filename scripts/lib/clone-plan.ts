import { isMap, isSeq, parseDocument, stringify } from "yaml";
import { type Config, machinesOf } from "../../config.ts";
import { freeAddress } from "../../config/free-address.ts";
import { GroundworkError } from "../../providers/errors.ts";

export interface CloneWish {
  from: string;
  to: string;
  /** For the first networks, in order; the others get free ones. */
  addresses: readonly string[];
}

function refuse(code: string, message: string, next: string): GroundworkError {
  return new GroundworkError({ code, message, next });
}

/**
 * The addresses of the new machine, one for each network of the old one.
 * @throws GroundworkError `unknown-machine`, `machine-exists`, `bad-machine-name`, `no-free-address`
 */
export function planCloneAddresses(config: Config, { from, to, addresses }: CloneWish): string[] {
  const source = config.machines.find(({ name }) => name === from);
  if (source === undefined)
    throw refuse(
      "unknown-machine",
      `There is no machine "${from}" in groundwork:machines.`,
      `Choose one of: ${config.machines.map(({ name }) => name).join(", ")}.`,
    );
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(to) || /^(snapshot|pvmove)/.test(to))
    throw refuse(
      "bad-machine-name",
      `Cannot call a machine ${JSON.stringify(to.slice(0, 80))}.`,
      "Write TO=name with lower-case letters, digits and inner hyphens.",
    );
  if (config.machines.some(({ name }) => name === to))
    throw refuse(
      "machine-exists",
      `There is a machine "${to}" in groundwork:machines already.`,
      "Choose another name.",
    );
  return source.networks.map(({ network, address }, index) => {
    const given = addresses[index];
    if (given !== undefined) return given;
    const found = config.networks.find(({ name }) => name === network);
    const taken = machinesOf(config).flatMap(({ networks }) =>
      networks.filter((each) => each.network === network).map((each) => each.address),
    );
    const free = found && freeAddress(found, taken, address);
    if (free !== undefined) return free;
    throw refuse(
      "no-free-address",
      `No address of network "${network}" is free below those of DHCP.`,
      "Give one with --address.",
    );
  });
}

function without(mapping: Record<string, unknown>, key: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(mapping).filter(([name]) => name !== key));
}

/**
 * A stack file with the new machine in it: an entry like the old one's, as the file has it, with its own
 * name, image and addresses, MAC addresses that derive from the name, and further volumes that begin
 * empty. Comments stay where they are.
 *
 * @param image the sealed backup that it is made from
 * @returns the whole text, and the two entries alone
 */
export function addClone(
  text: string,
  wish: CloneWish & { image: string },
): { text: string; entries: string } {
  const document = parseDocument(text);
  const path = (section: string): string[] => ["config", `groundwork:${section}`];
  const machines = document.getIn(path("machines"));
  const node = isSeq(machines)
    ? machines.items.find((item) => isMap(item) && item.get("name") === wish.from)
    : undefined;
  if (!isMap(node) || !isSeq(machines))
    throw refuse(
      "unknown-machine",
      `The stack file has no entry "${wish.from}" of its own in groundwork:machines.`,
      "Choose a machine that has one.",
    );
  const source = node.toJS(document) as Record<string, unknown> & {
    rootVolume: Record<string, unknown>;
    networks: Record<string, unknown>[];
    volumes?: Record<string, unknown>[];
  };
  const entry = {
    ...source,
    name: wish.to,
    rootVolume: { ...without(source.rootVolume, "generation"), image: wish.image },
    ...(source.volumes && { volumes: source.volumes.map((each) => without(each, "image")) }),
    networks: source.networks.map((attachment, index) => ({
      ...without(attachment, "mac"),
      address: wish.addresses[index],
    })),
  };
  const images = document.getIn(path("images"));
  const imageEntry = { name: wish.image };
  if (isSeq(images)) images.add(document.createNode(imageEntry));
  else document.setIn(path("images"), document.createNode([imageEntry]));
  machines.add(document.createNode(entry));
  return {
    text: document.toString({ lineWidth: 0 }),
    entries: stringify(
      { "groundwork:images": [imageEntry], "groundwork:machines": [entry] },
      { lineWidth: 0 },
    ),
  };
}
