import { escapeXml } from "../../providers/host/core/xml.ts";

/** The namespace of what we write into the `<metadata>` of domains and networks. */
export const metadataNamespace = "urn:groundwork";

/** As escapeXml, for an attribute of an element that the stylesheet writes: braces are XPath there. */
export function escapeTemplate(text: string): string {
  return escapeXml(text).replaceAll("{", "{{").replaceAll("}", "}}");
}

/** A stylesheet that copies everything, but for what the given templates match. */
export function renderStylesheet(templates: readonly string[]): string {
  return `<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output omit-xml-declaration="yes" indent="yes"/>
  <xsl:strip-space elements="*"/>
  <xsl:template match="@*|node()">
    <xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy>
  </xsl:template>
${templates.map((template) => template.replace(/^/gm, "  ")).join("\n")}
</xsl:stylesheet>
`;
}
