// Writes an archive of container images as k3s takes them from its agent/images folder. What they hold is this program
// itself, which as `pause` keeps a pod's namespaces and as `serve` answers HTTP on port 8080; and CoreDNS.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"groundwork.dev/tools/k3s/images"
)

func main() {
	log.SetFlags(0)
	switch arguments := os.Args[1:]; {
	case len(arguments) == 1 && arguments[0] == "pause":
		pause()
	case len(arguments) == 1 && arguments[0] == "serve":
		serve()
	case len(arguments) == 2:
		if err := write(arguments[0], arguments[1]); err != nil {
			log.Fatal(err)
		}
	default:
		log.Fatal("usage: k3s-airgap pause|serve|FILE.tar COREDNS")
	}
}

// pause waits for its end, and buries what the pod leaves behind as the first process of its namespace.
func pause() {
	ends := make(chan os.Signal, 1)
	children := make(chan os.Signal, 1)
	signal.Notify(ends, syscall.SIGTERM, syscall.SIGINT)
	signal.Notify(children, syscall.SIGCHLD)
	for {
		select {
		case <-ends:
			return
		case <-children:
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}

func serve() {
	host, _ := os.Hostname()
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "hello from %s\n", host) })
	http.HandleFunc("GET /resolve/{name}", func(w http.ResponseWriter, r *http.Request) {
		addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.PathValue("name"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, strings.Join(addresses, " "))
	})
	log.Fatal((&http.Server{Addr: ":8080", ReadHeaderTimeout: 5 * time.Second}).ListenAndServe())
}

type object = map[string]any

// write makes an archive as `docker save` would: a layer for each program, and a configuration for each image.
func write(file, coredns string) error {
	var entries []entry
	var manifest []object
	for _, image := range []struct {
		name, program string
		command       []string
	}{
		{images.Pause, "/proc/self/exe", []string{"/k3s-airgap", "pause"}},
		{images.Hello, "/proc/self/exe", []string{"/k3s-airgap", "serve"}},
		{images.CoreDNS, coredns, []string{"/coredns"}},
	} {
		program, err := os.ReadFile(image.program)
		if err != nil {
			return err
		}
		layer, err := archive([]entry{{path.Base(image.command[0]), program, 0o755}})
		if err != nil {
			return err
		}
		configuration, err := json.Marshal(object{
			"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z",
			"config": object{"Entrypoint": image.command, "Env": []string{"PATH=/"}},
			"rootfs": object{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
		})
		if err != nil {
			return err
		}
		layerName, configurationName := digest(layer)+".tar", digest(configuration)+".json"
		if !slices.ContainsFunc(entries, func(each entry) bool { return each.name == layerName }) {
			entries = append(entries, entry{layerName, layer, 0o644})
		}
		entries = append(entries, entry{configurationName, configuration, 0o644})
		manifest = append(manifest, object{"Config": configurationName, "RepoTags": []string{image.name}, "Layers": []string{layerName}})
	}
	index, err := json.Marshal(manifest)
	if err != nil {
		return err
	}
	whole, err := archive(append(entries, entry{"manifest.json", index, 0o644}))
	if err != nil {
		return err
	}
	return os.WriteFile(file, whole, 0o644) //nolint:gosec // public
}

type entry struct {
	name    string
	content []byte
	mode    int64
}

func archive(entries []entry) ([]byte, error) {
	var buffer bytes.Buffer
	out := tar.NewWriter(&buffer)
	for _, each := range entries {
		header := &tar.Header{Name: each.name, Mode: each.mode, Size: int64(len(each.content)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := out.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := out.Write(each.content); err != nil {
			return nil, err
		}
	}
	err := out.Close()
	return buffer.Bytes(), err
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
