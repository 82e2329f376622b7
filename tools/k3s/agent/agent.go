// Package agent runs what every node of a cluster runs: containerd, kubelet, kube-proxy and the pods' network.
package agent

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"groundwork.dev/tools/k3s/config"
	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/process"
	"groundwork.dev/tools/k3s/token"
)

// Options say which cluster a node is part of.
type Options struct {
	Settings config.Settings
	Node     node.Node
	Server   string
	Token    token.Token
	// Local: the server is on this machine, and this node needs no other.
	Local bool
}

// Run is `k3s agent`. It returns when the context ends, with everything stopped.
func Run(ctx context.Context, settings config.Settings) error {
	secret, err := settings.Secret("token")
	if err != nil {
		return err
	}
	if secret == "" {
		return errors.New("--token is required")
	}
	if !settings.Has("server") {
		return errors.New("--server is required")
	}
	join, err := token.Parse(secret)
	if err != nil {
		return err
	}
	identity, err := node.Identify(settings)
	if err != nil {
		return err
	}
	group := process.NewGroup(ctx)
	options := Options{Settings: settings, Node: identity, Server: settings.Text("server", ""), Token: join}
	if err := Start(ctx, group, options); err != nil {
		return err
	}
	log.Printf("k3s agent is up and running")
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	<-ctx.Done()
	group.Wait()
	return nil
}

// Start joins the cluster, as soon as a server answers, and starts the node's programs.
func Start(ctx context.Context, group *process.Group, options Options) error {
	server := options.Server
	if !options.Local {
		port := options.Settings.Text("lb-server-port", "6444")
		balancer, err := startLoadBalancer(ctx, port, server, options.Node.Agent("etc", "k3s-agent-load-balancer.json"))
		if err != nil {
			return err
		}
		server = "https://127.0.0.1:" + port
		defer func() { go followServers(ctx, balancer, server, options.Token) }()
	}
	cluster, err := join(ctx, server, options)
	if err != nil {
		return err
	}
	for _, name := range []string{"kubelet", "kube-proxy", "k3s-controller"} {
		file := options.Node.Agent(name + ".kubeconfig")
		if err := node.WriteKubeconfig(file, server, options.Node.Agent("server-ca.crt"), options.Node.Agent("client-"+name), 0o600); err != nil {
			return err
		}
	}
	prepareKernel()
	if err := startContainerd(ctx, group, options); err != nil {
		return err
	}
	if err := importImages(ctx, options.Node); err != nil {
		return err
	}
	if err := startKubelet(group, options, cluster); err != nil {
		return err
	}
	if !cluster.DisableKubeProxy {
		startKubeProxy(group, options, cluster)
	}
	if cluster.FlannelBackend != "none" {
		return startNetwork(ctx, options.Node, cluster)
	}
	return nil
}

// join tries for as long as it takes, as k3s does: a server may be on its way, or be told this token later.
func join(ctx context.Context, server string, options Options) (ClusterConfig, error) {
	for attempt := 0; ; attempt++ {
		supervisor, err := Dial(ctx, server, options.Token, "node")
		if err == nil {
			var cluster ClusterConfig
			if cluster, err = register(ctx, supervisor, options.Node); err == nil {
				return cluster, nil
			}
		}
		if attempt%10 == 0 {
			log.Printf("waiting to join by %s: %v", options.Server, err)
		}
		select {
		case <-ctx.Done():
			return ClusterConfig{}, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// followServers keeps the load balancer's list the cluster's own.
func followServers(ctx context.Context, balancer *loadBalancer, server string, join token.Token) {
	for {
		var servers []string
		if supervisor, err := Dial(ctx, server, join, "node"); err == nil {
			if content, err := supervisor.Get(ctx, "/v1-k3s/apiservers"); err == nil && json.Unmarshal(content, &servers) == nil {
				balancer.learn(servers)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(10 * time.Second):
		}
	}
}
