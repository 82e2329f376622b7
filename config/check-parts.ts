import { show } from "./explain.ts";
import type { Problem } from "./problem.ts";

/** Where something stands in the configuration. */
export type Path = readonly PropertyKey[];

/** A problem with what stands there. */
export function problem(path: Path, seen: unknown, expected: string, example?: string): Problem {
  return { path, seen: show(seen), expected, ...(example !== undefined && { example }) };
}

/** Reports every element whose key an earlier one has already. */
export function duplicates<T>(
  elements: readonly T[],
  keyOf: (element: T) => string,
  pathOf: (element: T, index: number) => Path,
  what: string,
): Problem[] {
  const seen = new Set<string>();
  return elements.flatMap((element, index) => {
    const key = keyOf(element);
    if (seen.has(key))
      return [problem(pathOf(element, index), key, `${what} that is used only once`)];
    seen.add(key);
    return [];
  });
}

/** Refuses a name that nothing has. */
export function unknownName(
  path: Path,
  name: string,
  known: readonly { name: string }[],
  what: string,
): Problem[] {
  if (known.some((each) => each.name === name)) return [];
  const names = known.map((each) => each.name).join(", ");
  return [
    problem(path, name, names === "" ? `${what}, of which none is defined` : `${what}: ${names}`),
  ];
}
