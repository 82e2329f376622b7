// A stand-in for k3s, for tests on machines that cannot download it. See README.md.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
	"groundwork.dev/tools/k3s/agent"
	"groundwork.dev/tools/k3s/config"
	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/server"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	log.SetFlags(0)
	// Its components, as children of its own.
	components := map[string]func() *cobra.Command{
		"kube-controller-manager": controllers.NewControllerManagerCommand,
		"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
		"kube-proxy":              proxy.NewProxyCommand,
		"kubelet":                 func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) },
		"kubectl":                 newKubectl,
	}
	if component, found := components[filepath.Base(os.Args[0])]; found {
		os.Exit(cli.Run(component()))
	}
	if err := run(os.Args[1:]); err != nil {
		log.Printf("Error: %v", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return usage()
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch command, rest := arguments[0], arguments[1:]; command {
	case "server", "agent":
		role := config.Role(command)
		settings, err := config.Load(role, rest)
		if err != nil {
			return err
		}
		log.Printf("Starting k3s %s (a stand-in)", version.Get().GitVersion)
		node.LogIgnored(settings)
		if role == config.Agent {
			return agent.Run(ctx, settings)
		}
		return server.Run(ctx, settings)
	case "kubectl":
		os.Args = append([]string{"kubectl"}, rest...)
		os.Exit(cli.Run(newKubectl()))
		return nil
	case "crictl", "ctr":
		return passThrough(command, rest)
	case "token":
		return runToken(ctx, rest)
	case "etcd-snapshot":
		return runSnapshot(ctx, rest)
	case "certificate":
		return runCertificate(rest)
	case "--version", "-v":
		fmt.Printf("k3s version %s (stand-in of Groundwork's tests)\ngo version %s\n", version.Get().GitVersion, runtime.Version())
		return nil
	default:
		return usage()
	}
}

func usage() error {
	return fmt.Errorf("usage: k3s server|agent|kubectl|crictl|ctr|token|etcd-snapshot|certificate|--version")
}

func newKubectl() *cobra.Command {
	if os.Getenv("KUBECONFIG") == "" {
		if _, err := os.Stat(adminKubeconfig); err == nil {
			_ = os.Setenv("KUBECONFIG", adminKubeconfig)
		}
	}
	return kubectl.NewDefaultKubectlCommand()
}

const adminKubeconfig = "/etc/rancher/k3s/k3s.yaml"

// passThrough runs a program of the system's packages with the socket of this node's containerd.
func passThrough(name string, arguments []string) error {
	program, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	environment := append(os.Environ(), "CONTAINERD_ADDRESS="+agent.Socket, "CONTAINERD_NAMESPACE=k8s.io",
		"CONTAINER_RUNTIME_ENDPOINT=unix://"+agent.Socket)
	return syscall.Exec(program, append([]string{name}, arguments...), environment)
}
