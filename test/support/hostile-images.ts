/** Images that must never reach a tool: a small valid qcow2 header, changed in one place each. */

const clusterBytes = 65536;

/** A valid and empty qcow2 image of version 3: header, L1 table, refcounts. */
export function emptyQcow2(virtualBytes = 64 * 2 ** 20): Buffer {
  const image = Buffer.alloc(4 * clusterBytes);
  image.writeUInt32BE(0x514649fb, 0);
  image.writeUInt32BE(3, 4);
  image.writeUInt32BE(16, 20); // cluster bits
  image.writeBigUInt64BE(BigInt(virtualBytes), 24);
  image.writeUInt32BE(Math.ceil(virtualBytes / (clusterBytes * 8192)), 36); // L1 entries
  image.writeBigUInt64BE(BigInt(3 * clusterBytes), 40);
  image.writeBigUInt64BE(BigInt(clusterBytes), 48); // refcount table
  image.writeUInt32BE(1, 56);
  image.writeUInt32BE(4, 96); // refcounts of 16 bits
  image.writeUInt32BE(104, 100); // header length
  image.writeBigUInt64BE(BigInt(2 * clusterBytes), clusterBytes);
  for (let cluster = 0; cluster < 4; cluster += 1)
    image.writeUInt16BE(1, 2 * clusterBytes + 2 * cluster);
  return image;
}

/** The same with extended L2 tables, which qemu-img reads for us. */
export function emptyExtendedQcow2(): Buffer {
  const image = emptyQcow2();
  image.writeBigUInt64BE(1n << 4n, 72); // incompatible feature
  return image;
}

function changed(change: (image: Buffer) => void, virtualBytes?: number): Buffer {
  const image = emptyQcow2(virtualBytes);
  change(image);
  return image;
}

/** Writes a header extension behind the header, and the end of extensions behind it. */
function withExtension(type: number, content: string): Buffer {
  return changed((image) => {
    image.writeUInt32BE(type, 104);
    image.writeUInt32BE(content.length, 108);
    image.write(content, 112);
  });
}

/** What must be refused: its row in the table of faults, and words that its error must hold. */
export const hostileImages: Record<string, { row: number; content: Buffer; says: RegExp }> = {
  "a backing file": {
    row: 20,
    content: changed((image) => {
      image.writeBigUInt64BE(512n, 8);
      image.writeUInt32BE(11, 16);
      image.write("/etc/shadow", 512);
    }),
    says: /backing file/,
  },
  "an external data file, by its feature bit": {
    row: 21,
    content: changed((image) => image.writeBigUInt64BE(4n, 72)),
    says: /data is in another file/,
  },
  "an external data file, by its name alone": {
    row: 21,
    content: withExtension(0x44415441, "/etc/shadow"),
    says: /data is in another file/,
  },
  "a feature that nobody knows": {
    row: 21,
    content: changed((image) => image.writeBigUInt64BE(1n << 40n, 72)),
    says: /features that are not known/,
  },
  "version 1": {
    row: 21,
    content: changed((image) => image.writeUInt32BE(1, 4)),
    says: /qcow version 1/,
  },
  "version 4": {
    row: 21,
    content: changed((image) => image.writeUInt32BE(4, 4)),
    says: /qcow version 4/,
  },
  encryption: {
    row: 21,
    content: changed((image) => image.writeUInt32BE(2, 32)),
    says: /encrypted/,
  },
  "a giant L1 table": {
    row: 23,
    content: changed((image) => image.writeUInt32BE(0xffffffff, 36)),
    says: /L1 table/,
  },
  "an L1 table too small for the disk": {
    row: 23,
    content: changed((image) => image.writeUInt32BE(0, 36)),
    says: /L1 table/,
  },
  "an L1 table behind the end of the file": {
    row: 23,
    content: changed((image) => image.writeBigUInt64BE(1n << 50n, 40)),
    says: /L1 table is not inside/,
  },
  "clusters of 4 GiB": {
    row: 23,
    content: changed((image) => image.writeUInt32BE(32, 20)),
    says: /cluster size/,
  },
  "a disk of 8 EiB": {
    row: 23,
    content: changed((image) => image.writeBigUInt64BE((1n << 63n) - 512n, 24)),
    says: /virtual size/,
  },
  "an unknown compression": {
    row: 21,
    content: changed((image) => {
      image.writeBigUInt64BE(8n, 72);
      image.writeUInt32BE(112, 100);
      image.writeUInt8(7, 104);
    }),
    says: /compression type/,
  },
  "extensions without end": {
    row: 23,
    content: changed((image) => image.fill(1, 104, 8192)),
    says: /extensions do not end/,
  },
  "nothing but a magic number": {
    row: 22,
    content: Buffer.from("QFI\xfb", "latin1"),
    says: /cut short/,
  },
  "a raw disk": {
    row: 22,
    content: Buffer.concat([Buffer.alloc(510), Buffer.from([0x55, 0xaa]), Buffer.alloc(65536)]),
    says: /raw disk or an ISO/,
  },
  "a page of HTML": {
    row: 22,
    content: Buffer.from("<!DOCTYPE html><html>not found</html>"),
    says: /HTML page/,
  },
  "a VMDK descriptor": {
    row: 22,
    content: Buffer.from('# Disk DescriptorFile\nversion=1\nRW 8192 FLAT "/etc/shadow" 0\n'),
    says: /VMDK/,
  },
  "a VHDX file": { row: 22, content: Buffer.from("vhdxfile".padEnd(70000, "\0")), says: /VHDX/ },
  "a gzip file": { row: 22, content: Buffer.from([0x1f, 0x8b, 8, 0]), says: /gzip/ },
};
