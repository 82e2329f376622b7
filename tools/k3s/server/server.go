// Package server runs a k3s server: the datastore, Kubernetes' control plane and what nodes join by.
package server

import (
	"context"
	"errors"
	"log"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.etcd.io/etcd/server/v3/embed"
	"groundwork.dev/tools/k3s/agent"
	"groundwork.dev/tools/k3s/config"
	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/process"
	"groundwork.dev/tools/k3s/token"
)

const (
	defaultServiceCIDR = "10.43.0.0/16"
	defaultClusterCIDR = "10.42.0.0/16"
)

type server struct {
	settings    config.Settings
	node        node.Node
	token       token.Token
	agentToken  token.Token
	tokens      sync.Mutex // over both
	authorities authorities
	etcd        *embed.Etcd
}

// Run is `k3s server`. It returns when the context ends, with everything stopped.
func Run(ctx context.Context, settings config.Settings) error {
	identity, err := node.Identify(settings)
	if err != nil {
		return err
	}
	s := &server{settings: settings, node: identity}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if settings.Flag("cluster-reset") {
		return s.resetCluster(ctx)
	}
	if err := os.Remove(s.resetFlag()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.startEtcd(ctx); err != nil {
		return err
	}
	defer s.etcd.Close()
	// Only now is it known that the secret is the cluster's.
	if err := s.writeTokens(); err != nil {
		return err
	}
	return s.runControlPlane(ctx)
}

// prepare settles what does not need the datastore: tokens, certificates, kubeconfigs.
func (s *server) prepare(ctx context.Context) error {
	if err := s.loadTokens(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.node.Server("db"), 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(s.tls("server-ca.key")); errors.Is(err, os.ErrNotExist) && s.settings.Has("server") {
		if err := retry(ctx, "fetch the cluster's authorities", func() error { return s.fetchShared(ctx) }); err != nil {
			return err
		}
	}
	if err := s.ensureCredentials(); err != nil {
		return err
	}
	if err := s.token.Check(s.authorities.server.PEM); err != nil {
		return err
	}
	return s.writeKubeconfigs()
}

func (s *server) runControlPlane(ctx context.Context) error {
	// The programs that use the API end before it does, and it before the datastore.
	children, stopChildren := context.WithCancel(ctx)
	defer stopChildren()
	group := process.NewGroup(children)
	api, stopAPI := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAPI()
	apiEnded := make(chan error, 1)
	go func() { apiEnded <- runAPIServer(api, s.apiServerArguments(), s.supervisor()) }()

	ready := make(chan error, 1)
	go func() { ready <- s.bringUp(children, group) }()
	for {
		select {
		case err := <-ready:
			if err != nil {
				return err
			}
			ready = nil
			log.Printf("k3s is up and running")
			_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
		case err := <-apiEnded:
			return errors.Join(errors.New("kube-apiserver ended"), err)
		case <-ctx.Done():
			group.Wait()
			stopAPI()
			select {
			case <-apiEnded:
			case <-time.After(10 * time.Second):
			}
			return nil
		}
	}
}

// bringUp waits for the API, prepares it for nodes, and starts this machine's own.
func (s *server) bringUp(ctx context.Context, group *process.Group) error {
	client, err := s.waitForAPI(ctx)
	if err != nil {
		return err
	}
	if err := retry(ctx, "grant nodes what they read", func() error { return grantNodes(ctx, client) }); err != nil {
		return err
	}
	s.startControllers(group)
	go s.watchNodes(ctx, client)
	go func() {
		_ = retry(ctx, "apply CoreDNS", func() error { return s.ensureCoreDNS(ctx) })
	}()
	s.scheduleSnapshots(ctx)
	if s.settings.Flag("disable-agent") {
		return nil
	}
	return agent.Start(ctx, group, agent.Options{
		Settings: s.settings, Node: s.node, Server: "https://127.0.0.1:" + s.port(), Token: s.agentToken, Local: true,
	})
}

func (s *server) port() string { return s.settings.Text("https-listen-port", "6443") }

// clustered: the datastore may have other members.
func (s *server) clustered() bool {
	return s.settings.Flag("cluster-init") || s.settings.Has("server")
}

func (s *server) joinHost() string {
	address, err := url.Parse(s.settings.Text("server", ""))
	if err != nil {
		return ""
	}
	return address.Hostname()
}

// permanent is an error that trying again does not mend.
type permanent struct{ error }

// retry tries once a second, and says why every tenth time.
func retry(ctx context.Context, what string, try func() error) error {
	for attempt := 0; ; attempt++ {
		err := try()
		var final permanent
		if err == nil || errors.As(err, &final) {
			return err
		}
		if attempt%10 == 0 {
			log.Printf("cannot %s yet: %v", what, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
