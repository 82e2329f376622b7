import { escapeXml } from "../../providers/host/core/xml.ts";
import { escapeTemplate, metadataNamespace, renderStylesheet } from "./xslt.ts";

/** What the libvirt provider has no argument for. */
export interface DomainSettings {
  uuid: string;
  /** `<project>/<stack>`, written into the domain's metadata. */
  owner: string;
  secureBoot: boolean;
  vnc: boolean;
  guestAgent: boolean;
  serialLogPath: string;
  /** Serials of the further disks, in order. */
  volumes: readonly string[];
}

/** virtio-blk shows the guest 20 bytes of a disk's serial. */
export const serialLength = 20;

/** What a domain is bound to: when it is something else, it takes another domain. */
export interface DomainBindings {
  /** Digest of the image on the root volume, which must not change below a running domain. */
  imageDigest: string | undefined;
  /**
   * In order; `network` is another text when the interface must be attached anew, and `reserved` the
   * address that libvirt's DHCP server keeps for it.
   */
  interfaces: readonly { mac: string; network: string; reserved?: string }[];
}

/**
 * The stylesheet that the provider applies to the domain it is about to define.
 *
 * A fixed UUID makes defining idempotent: what a run that broke off left defined is replaced. The
 * volumes are used raw, past the host's page cache, and pass discards on. The console is a pty that
 * is logged to a file. The seed is read-only. There is no screen unless asked for, and then only on
 * the loopback address.
 *
 * The bindings are written into the metadata because the provider knows nothing of images and, when
 * an interface changes, changes it in its state only: another stylesheet makes another domain.
 */
export function renderDomainXslt(settings: DomainSettings, bindings: DomainBindings): string {
  const mark = {
    owner: settings.owner,
    image: bindings.imageDigest ?? "",
    interfaces: bindings.interfaces
      .map(({ mac, network, reserved = "" }) => `${mac}@${network}${reserved && `=${reserved}`}`)
      .join(" "),
  };
  const attributes = Object.entries(mark)
    .map(([name, value]) => `${name}="${escapeTemplate(value)}"`)
    .join(" ");
  const logPath = escapeTemplate(settings.serialLogPath);
  const templates = [
    `<xsl:template match="/domain/name">
  <xsl:copy-of select="."/>
  <uuid>${settings.uuid}</uuid>
  <metadata>
    <groundwork:machine xmlns:groundwork="${metadataNamespace}" ${attributes}/>
  </metadata>
  <on_crash>restart</on_crash>
</xsl:template>`,
    `<xsl:template match="/domain/on_crash"/>`,
    `<xsl:template match="/domain/devices/graphics|/domain/devices/video"/>`,
    `<xsl:template match="/domain/devices/disk[source/@dev]/driver">
  <xsl:copy>
    <xsl:apply-templates select="@*"/>
    <xsl:attribute name="cache">none</xsl:attribute>
    <xsl:attribute name="io">native</xsl:attribute>
    <xsl:attribute name="discard">unmap</xsl:attribute>
    <xsl:attribute name="detect_zeroes">unmap</xsl:attribute>
  </xsl:copy>
</xsl:template>`,
    `<xsl:template match="/domain/devices/disk[source/@volume]">
  <xsl:copy><xsl:apply-templates select="@*|node()"/><readonly/></xsl:copy>
</xsl:template>`,
    ...diskTail(1, '<boot order="1"/>'),
    ...settings.volumes.flatMap((serial, index) =>
      diskTail(index + 2, `<serial>${escapeXml(serial.slice(0, serialLength))}</serial>`),
    ),
    ...(settings.guestAgent ? [] : [`<xsl:template match="/domain/devices/channel"/>`]),
    ...(settings.secureBoot
      ? [
          `<xsl:template match="/domain/os/loader/@secure"><xsl:attribute name="secure">yes</xsl:attribute></xsl:template>`,
          `<xsl:template match="/domain/features">
  <xsl:copy><xsl:apply-templates select="@*|node()"/><smm state="on"/></xsl:copy>
</xsl:template>`,
        ]
      : []),
    `<xsl:template match="/domain/devices">
  <xsl:copy>
    <xsl:apply-templates select="@*|node()"/>
    <serial type="pty"><log file="${logPath}" append="on"/><target port="0"/></serial>
    <memballoon model="virtio" freePageReporting="on"><stats period="10"/></memballoon>
    <panic model="isa"/>${
      settings.vnc
        ? `
    <graphics type="vnc" autoport="yes"><listen type="address" address="127.0.0.1"/></graphics>
    <video><model type="virtio"/></video>`
        : ""
    }
  </xsl:copy>
</xsl:template>`,
  ];
  return renderStylesheet(templates);
}

/** Adds elements to the end of the n-th disk, which is a block device. */
function diskTail(position: number, elements: string): string[] {
  return [
    `<xsl:template match="/domain/devices/disk[source/@dev][${String(position)}]">
  <xsl:copy><xsl:apply-templates select="@*|node()"/>${elements}</xsl:copy>
</xsl:template>`,
  ];
}
