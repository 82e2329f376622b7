/** A resource with what happens to it: `+  libvirt:index:Domain vm1 created (2s)`. */
const row =
  /^ *(?<sign>[+~-]{0,2}) *(?<type>[\w.-]+:[\w/.-]+:[\w/.-]+) (?<name>[^\s(]\S*) ?(?<rest>.*)$/;

/** What stands before the message in the row of the stack. */
const status =
  /^(\*\*)?(creat|updat|runn|delet|refresh)(ing|ed)( failed)?( \([\d.]+s\))?(\*\*)?(\s+|$)/;

/** What Pulumi says for terminals, or what our own summary says better. */
const dropped = [
  /^\s*$/,
  /^The resources in the stack have been deleted, but the history and configuration/,
  /^If you want to remove the stack completely, run/,
  /^ *\d+ (errors?|warnings?|messages?)\b/,
];

/**
 * Makes Pulumi's lines for machines readable: what a provider says comes as a message of the stack,
 * with a prefix that hides it, and all of it once more at the end. Gives the message alone, once;
 * shortens the types of resources; passes on everything else.
 */
export function pulumiLines(report: (line: string) => void): (line: string) => void {
  const said = new Set<string>();
  return (line) => {
    if (dropped.some((pattern) => pattern.test(line))) return;
    const { sign = "", type = "", name = "", rest = "" } = row.exec(line)?.groups ?? {};
    if (type === "pulumi:pulumi:Stack") {
      const message = rest.replace(status, "").trim();
      if (dropped.some((pattern) => pattern.test(message))) return;
      said.add(message);
      report(message);
    } else if (type !== "") {
      const noun = type.slice(type.lastIndexOf(":") + 1);
      report(`${sign === "" ? " " : sign} ${noun} ${name} ${rest.replace(" (0s)", "")}`.trimEnd());
    } else if (!said.has(line.trim())) report(line);
  };
}
