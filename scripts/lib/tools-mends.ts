/** A change to one file of a module that a tool is built from. */
export interface Mend {
  /** As go.mod requires it. */
  readonly module: string;
  /** In the module. */
  readonly file: string;
  /** Each text, which the file has once, and what takes its place. */
  readonly edits: readonly (readonly [string, string])[];
}

/**
 * libvirtd may send the first packets of a stream before its reply to the call that opens it. go-libvirt
 * takes what comes first for the reply and the reply for the stream's end: what it downloads is cut
 * short or, when a packet comes for a caller that has left, it waits for ever (docs/adr/0027). Upstream:
 * https://github.com/digitalocean/go-libvirt/issues/241 and what surrounds it, open as of 2026-11.
 */
export const goLibvirtStreams: Mend = {
  module: "github.com/digitalocean/go-libvirt",
  file: "rpc.go",
  edits: [
    ["\tStatus  uint32\n}", "\tStatus  uint32\n\tType    uint32\n}"],
    [
      "response{Payload: buf, Status: h.Status}",
      "response{Payload: buf, Status: h.Status, Type: h.Type}",
    ],
    // Room for what comes after an error, when nobody asks any more.
    ["\tc := make(chan response)\n", "\tc := make(chan response, 8)\n"],
    [
      "\tresp, err := l.getResponse(c)\n\tif err != nil {\n\t\treturn resp, err\n\t}\n\n\tif out != nil {",
      `	resp, err := l.getResponse(c)
	var early []response
	for err == nil && resp.Type == socket.Stream {
		early = append(early, resp)
		resp, err = l.getResponse(c)
	}
	if err != nil {
		return resp, err
	}

	if out != nil {`,
    ],
    [
      "resp, err = l.processIncomingStream(c, in)",
      "resp, err = l.processIncomingStream(c, in, early)",
    ],
    ["return l.processIncomingStream(c, in)", "return l.processIncomingStream(c, in, early)"],
    [
      "processIncomingStream(c chan response, inStream io.Writer) (",
      "processIncomingStream(c chan response, inStream io.Writer, early []response) (",
    ],
    [
      "\t\tresp, err := l.getResponse(c)\n\t\tif err != nil {\n\t\t\treturn resp, err\n\t\t}\n\n\t\t// StatusOK",
      `		var resp response
		var err error
		if len(early) > 0 {
			resp, early = early[0], early[1:]
		} else {
			resp, err = l.getResponse(c)
		}
		if err != nil {
			return resp, err
		}

		// StatusOK`,
    ],
  ],
};
