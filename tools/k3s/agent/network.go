package agent

import (
	"context"
	"fmt"
	"log"
	"net"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/pki"
	core "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// routeProtocol marks the routes that are ours.
const routeProtocol = 0x6b

const cniConfig = `{
  "cniVersion": "0.4.0",
  "name": "cbr0",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "hairpinMode": true,
      "ipam": { "type": "host-local", "ranges": [[{ "subnet": %q }]], "routes": [{ "dst": "0.0.0.0/0" }] }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
`

// startNetwork stands in for flannel: a bridge on each node, and a route to every other node's pods. All nodes
// have to be on one link for that, where flannel would also go through tunnels.
func startNetwork(ctx context.Context, machine node.Node, cluster ClusterConfig) error {
	configuration, err := clientcmd.BuildConfigFromFlags("", machine.Agent("k3s-controller.kubeconfig"))
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(configuration)
	if err != nil {
		return err
	}
	if err := masquerade(cluster.ClusterCIDR); err != nil {
		return err
	}
	see := func(object any) {
		if seen, isNode := object.(*core.Node); isNode {
			if err := connect(machine, seen); err != nil {
				log.Printf("pod network of node %s: %v", seen.Name, err)
			}
		}
	}
	factory := informers.NewSharedInformerFactory(client, 30*time.Second)
	_, err = factory.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    see,
		UpdateFunc: func(_, object any) { see(object) },
		DeleteFunc: func(object any) {
			if gone, isNode := object.(*core.Node); isNode {
				disconnect(gone)
			}
		},
	})
	factory.Start(ctx.Done())
	return err
}

// connect gives this node's pods their network, or those of another node a route.
func connect(machine node.Node, seen *core.Node) error {
	if seen.Spec.PodCIDR == "" {
		return nil
	}
	_, pods, err := net.ParseCIDR(seen.Spec.PodCIDR)
	if err != nil {
		return err
	}
	if seen.Name == machine.Name {
		file := filepath.Join(cniFolder(machine), "10-flannel.conflist")
		return pki.WriteFile(file, fmt.Appendf(nil, cniConfig, pods.String()), 0o644)
	}
	for _, address := range seen.Status.Addresses {
		if address.Type == core.NodeInternalIP {
			route := &netlink.Route{Dst: pods, Gw: net.ParseIP(address.Address), Protocol: routeProtocol}
			return netlink.RouteReplace(route)
		}
	}
	return nil
}

func disconnect(gone *core.Node) {
	_, pods, err := net.ParseCIDR(gone.Spec.PodCIDR)
	if err != nil {
		return
	}
	if err := netlink.RouteDel(&netlink.Route{Dst: pods, Protocol: routeProtocol}); err != nil {
		log.Printf("route to the pods of %s was not removed: %v", gone.Name, err)
	}
}

// masquerade lets pods reach what is outside the cluster, by their node's address.
func masquerade(pods string) error {
	rule := []string{"POSTROUTING", "-s", pods, "!", "-d", pods, "-m", "comment", "--comment", "k3s stand-in: pods", "-j", "MASQUERADE"}
	check := append([]string{"--wait", "-t", "nat", "-C"}, rule...)
	if exec.Command("iptables", check...).Run() == nil {
		return nil
	}
	add := append([]string{"--wait", "-t", "nat", "-A"}, rule...)
	if output, err := exec.Command("iptables", add...).CombinedOutput(); err != nil {
		return fmt.Errorf("iptables: %w: %s", err, output)
	}
	return nil
}
