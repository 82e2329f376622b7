import * as assert from "node:assert/strict";
import * as fc from "fast-check";
import { GroundworkError } from "../../providers/errors.ts";
import { emptyQcow2 } from "./hostile-images.ts";

/** How many cases a property is tried with: enough for each commit, or as many as `make fuzz` says. */
export function fuzzCases(env: NodeJS.ProcessEnv = process.env): number {
  return Number(env["GROUNDWORK_FUZZ_CASES"] ?? 10_000);
}

/** A case that takes more processor time than this is as good as one that hangs. */
const slowestMicroseconds = 1_000_000;

/**
 * Fails unless the parser gives, for every input, either a result that `holds` accepts or an error
 * of ours, and gives it soon.
 */
export function assertWithstands<Input, Result>(
  inputs: fc.Arbitrary<Input>,
  parse: (input: Input) => Result,
  holds: (result: Result, input: Input) => void,
): void {
  fc.assert(
    fc.property(inputs, (input) => {
      const started = process.cpuUsage();
      let result: Result;
      try {
        result = parse(input);
      } catch (error) {
        assert.ok(error instanceof GroundworkError, String(error));
        return;
      } finally {
        const { user } = process.cpuUsage(started);
        assert.ok(user < slowestMicroseconds, `it took ${String(user)} µs`);
      }
      holds(result, input);
    }),
    // A shrink of a case that hangs would take for ever; the seed that is printed repeats it.
    { numRuns: fuzzCases(), endOnFailure: true },
  );
}

/** The first bytes of a file, and the length of all of it. */
export interface ImageStart {
  header: Uint8Array;
  fileBytes: number;
}

const valid = emptyQcow2().subarray(0, 4096);

/** Where each field of a qcow2 header begins, and how many bytes it has. */
const fields: { at: number; bytes: 4 | 8 }[] = [
  ...[0, 4, 16, 20, 32, 36, 56, 60, 96, 100, 104, 108, 112, 116].map(
    (at) => ({ at, bytes: 4 }) as const,
  ),
  ...[8, 24, 40, 48, 64, 72, 80, 88].map((at) => ({ at, bytes: 8 }) as const),
];

const interesting = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 3n, 4n, 8n, 9n, 21n, 22n, 104n, 112n, 512n, 513n, 65536n),
  fc.constantFrom(0x44415441n, 0x0537be77n, 0xe2792acan, 0x6803f857n), // header extensions
  fc.nat({ max: 63 }).map((bit) => 1n << BigInt(bit)),
  fc.nat({ max: 63 }).map((bit) => (1n << BigInt(bit)) - 1n),
  fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
);

/** qcow2 headers with some fields or bytes changed, headers cut short, and any bytes at all. */
export const imageStarts: fc.Arbitrary<ImageStart> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .record({
        values: fc.array(fc.tuple(fc.constantFrom(...fields), interesting), { maxLength: 4 }),
        bytes: fc.array(fc.tuple(fc.nat({ max: 255 }), fc.nat({ max: 255 })), { maxLength: 4 }),
        length: fc.oneof(fc.constant(4096), fc.nat({ max: 4096 })),
        fileBytes: fc.oneof(fc.constant(4 * 65536), fc.maxSafeNat()),
      })
      .map(({ values, bytes, length, fileBytes }) => {
        const header = Buffer.from(valid);
        for (const [{ at, bytes: width }, value] of values)
          if (width === 8) header.writeBigUInt64BE(value, at);
          else header.writeUInt32BE(Number(value & 0xffffffffn), at);
        for (const [at, value] of bytes) header.writeUInt8(value, at);
        return { header: header.subarray(0, length), fileBytes };
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .uint8Array({ maxLength: 600 })
      .map((header) => ({ header, fileBytes: header.length })),
  },
);

const digits = "0123456789abcdef".repeat(4);
const runs = fc
  .tuple(
    fc.constantFrom(" ", "\t", "\u00a0", "\u2028", "0", "f", "F", "x", "*", "/", "."),
    fc.oneof(fc.nat({ max: 3 }), fc.constantFrom(63, 64, 65), fc.nat({ max: 3000 })),
  )
  .map(([character, count]) => character.repeat(count));

/** Checksum files of which parts are right, long runs of one character, and any text. */
export const sidecars: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      runs,
      fc.constantFrom(digits, digits.toUpperCase(), "debian.qcow2", "../", "\0", "\ufeff"),
      fc.constantFrom("\n", "\r\n", "\r", "\u2028", "  ", " *", "y"),
      fc.string({ maxLength: 20 }),
    ),
    { maxLength: 9 },
  )
  .map((parts) => parts.join(""));
