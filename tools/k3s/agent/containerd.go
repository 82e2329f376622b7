package agent

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/pki"
	"groundwork.dev/tools/k3s/process"
)

// Socket is containerd's, where k3s has it.
const Socket = "/run/k3s/containerd/containerd.sock"

const containerdConfig = `version = 2
root = %q
state = "/run/k3s/containerd"

[grpc]
  address = %q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = %q
  conf_dir = %q

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = %q
  default_runtime_name = "runc"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = %t
`

func underSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

func cniFolder(machine node.Node) string { return machine.Agent("etc", "cni", "net.d") }

func cniPrograms() string {
	for _, folder := range []string{"/opt/cni/bin", "/usr/lib/cni"} {
		if _, err := os.Stat(filepath.Join(folder, "bridge")); err == nil {
			return folder
		}
	}
	return "/usr/lib/cni"
}

func startContainerd(ctx context.Context, group *process.Group, options Options) error {
	machine := options.Node
	program, err := exec.LookPath("containerd")
	if err != nil {
		return errors.New("no containerd on PATH: this stand-in takes it, runc and the CNI plugins from the system's packages")
	}
	file := machine.Agent("etc", "containerd", "config.toml")
	content := fmt.Sprintf(containerdConfig, machine.Agent("containerd"), Socket,
		options.Settings.Text("pause-image", "docker.io/rancher/mirrored-pause:3.6"), cniPrograms(), cniFolder(machine),
		options.Settings.Text("snapshotter", "overlayfs"), underSystemd())
	if err := errors.Join(pki.WriteFile(file, []byte(content), 0o600), os.MkdirAll(cniFolder(machine), 0o755)); err != nil {
		return err
	}
	group.Run("containerd", func() *exec.Cmd { return exec.Command(program, "--config", file) })
	for {
		if connection, err := net.Dial("unix", Socket); err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// importImages loads the archives that were put on this machine, each once.
func importImages(ctx context.Context, machine node.Node) error {
	entries, err := os.ReadDir(machine.Agent("images"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		unpack, known := unpackers[extension(entry.Name())]
		information, err := entry.Info()
		if !known || err != nil {
			continue
		}
		mark := machine.Agent("imported", entry.Name())
		seen := fmt.Sprintf("%d %s", information.Size(), information.ModTime())
		if before, err := os.ReadFile(mark); err == nil && string(before) == seen {
			continue
		}
		started := time.Now()
		script := unpack + ` "$1" | ctr --address "$2" --namespace k8s.io images import -`
		command := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", script, "bash", machine.Agent("images", entry.Name()), Socket)
		if output, err := command.CombinedOutput(); err != nil {
			// As with k3s, the node comes up and pulls what it needs.
			log.Printf("cannot import %s: %v: %s", entry.Name(), err, strings.TrimSpace(string(output)))
			continue
		}
		log.Printf("imported %s in %s", entry.Name(), time.Since(started).Round(100*time.Millisecond))
		if err := pki.WriteFile(mark, []byte(seen), 0o600); err != nil {
			return err
		}
	}
	return nil
}

var unpackers = map[string]string{
	".tar": "cat", ".tar.gz": "gzip -dc", ".tgz": "gzip -dc", ".tar.zst": "zstd -dcq", ".tar.bz2": "bzip2 -dc", ".tar.lz4": "lz4 -dcq",
}

func extension(name string) string {
	for known := range unpackers {
		if strings.HasSuffix(name, known) {
			return known
		}
	}
	return ""
}
