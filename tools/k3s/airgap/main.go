// Writes an archive of container images as k3s takes them from its agent/images folder. What the images hold is this
// program itself: as `pause` it keeps a pod's namespaces, as `serve` it answers HTTP on port 8080.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

// images are the names that they are pulled under, and what each runs. The first is every pod's own.
var images = []struct{ name, command string }{
	{"docker.io/rancher/mirrored-pause:3.6", "pause"},
	{"docker.io/groundwork/hello:1", "serve"},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: k3s-airgap pause|serve|FILE.tar")
	}
	switch os.Args[1] {
	case "pause":
		pause()
	case "serve":
		serve()
	default:
		if err := write(os.Args[1]); err != nil {
			log.Fatal(err)
		}
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
	log.Fatal((&http.Server{Addr: ":8080", ReadHeaderTimeout: 5 * time.Second}).ListenAndServe())
}

type object = map[string]any

// write makes an archive as `docker save` would: one layer, and a configuration for each image.
func write(file string) error {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	layer, err := archive([]entry{{"k3s-airgap", program, 0o755}})
	if err != nil {
		return err
	}
	entries := []entry{{"layer.tar", layer, 0o644}}
	var manifest []object
	for _, image := range images {
		configuration, err := json.Marshal(object{
			"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z",
			"config": object{"Entrypoint": []string{"/k3s-airgap", image.command}, "Env": []string{"PATH=/"}},
			"rootfs": object{"type": "layers", "diff_ids": []string{"sha256:" + digest(layer)}},
		})
		if err != nil {
			return err
		}
		entries = append(entries, entry{digest(configuration) + ".json", configuration, 0o644})
		manifest = append(manifest, object{"Config": digest(configuration) + ".json", "RepoTags": []string{image.name}, "Layers": []string{"layer.tar"}})
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
