package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	etcd "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"groundwork.dev/tools/k3s/pki"
	"groundwork.dev/tools/k3s/token"
)

const (
	clientPort = "2379"
	peerPort   = "2380"
	tokenKey   = "/bootstrap/token"
)

// startEtcd starts this server's member of the datastore, and joins it to the cluster's where it is new there.
func (s *server) startEtcd(ctx context.Context) error {
	name, err := s.memberName()
	if err != nil {
		return err
	}
	configuration := s.etcdConfig(name)
	_, missing := os.Stat(s.etcdFolder("member"))
	joining := missing != nil && s.settings.Has("server")
	var remote *etcd.Client
	if joining {
		if remote, err = s.etcdClient(s.joinHost()); err != nil {
			return err
		}
		defer remote.Close()
		if err := retry(ctx, "join the datastore", func() error { return s.addMember(ctx, remote, configuration) }); err != nil {
			return err
		}
	}
	if s.etcd, err = embed.StartEtcd(configuration); err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	if joining {
		if err := retry(ctx, "become a voting member of the datastore", func() error { return promote(ctx, remote, name) }); err != nil {
			return err
		}
	}
	select {
	case <-s.etcd.Server.ReadyNotify():
	case err := <-s.etcd.Err():
		return fmt.Errorf("etcd: %w", err)
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := s.checkToken(ctx); err != nil {
		return err
	}
	client, err := s.etcdClient("127.0.0.1")
	if err != nil {
		return err
	}
	defer client.Close()
	return s.saveBootstrap(ctx, client, s.secret())
}

func (s *server) etcdFolder(parts ...string) string {
	return s.node.Server(append([]string{"db", "etcd"}, parts...)...)
}

// memberName is this server's, and one that no earlier server of the same node name had.
func (s *server) memberName() (string, error) {
	file := s.etcdFolder("name")
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		name := s.node.Name + "-" + token.Random(4)
		return name, pki.WriteFile(file, []byte(name), 0o600)
	}
	return strings.TrimSpace(string(content)), err
}

func (s *server) etcdConfig(name string) *embed.Config {
	configuration := embed.NewConfig()
	configuration.Name = name
	configuration.Dir = s.etcdFolder()
	configuration.LogLevel = "warn"
	configuration.SnapshotCount = 10000
	configuration.WarningUnaryRequestDuration = time.Second
	peers := endpoint("127.0.0.1", peerPort)
	configuration.ListenClientUrls = []url.URL{endpoint("127.0.0.1", clientPort)}
	if s.clustered() {
		// Unaccelerated guests miss short heartbeats.
		configuration.TickMs, configuration.ElectionMs = 500, 5000
		peers = endpoint(s.node.IP, peerPort)
		configuration.ListenClientUrls = append(configuration.ListenClientUrls, endpoint(s.node.IP, clientPort))
	}
	configuration.AdvertiseClientUrls = configuration.ListenClientUrls[len(configuration.ListenClientUrls)-1:]
	configuration.ListenPeerUrls, configuration.AdvertisePeerUrls = []url.URL{peers}, []url.URL{peers}
	configuration.InitialCluster = name + "=" + peers.String()
	configuration.InitialClusterToken = "k3s"
	configuration.ClientTLSInfo = s.etcdTLS("server-client", "server-ca")
	configuration.PeerTLSInfo = s.etcdTLS("peer-server-client", "peer-ca")
	return configuration
}

func (s *server) etcdTLS(certificate, authority string) transport.TLSInfo {
	base := s.tls("etcd", certificate)
	return transport.TLSInfo{
		CertFile: base + ".crt", KeyFile: base + ".key", TrustedCAFile: s.tls("etcd", authority+".crt"), ClientCertAuth: true,
	}
}

func endpoint(host, port string) url.URL {
	return url.URL{Scheme: "https", Host: host + ":" + port}
}

func (s *server) etcdClientTLS() (*tls.Config, error) {
	return s.etcdTLS("client", "server-ca").ClientConfig()
}

func (s *server) etcdClient(host string) (*etcd.Client, error) {
	configuration, err := s.etcdClientTLS()
	if err != nil {
		return nil, err
	}
	address := endpoint(host, clientPort)
	return etcd.New(etcd.Config{Endpoints: []string{address.String()}, TLS: configuration, DialTimeout: 5 * time.Second})
}

// addMember asks the cluster for a place, unless an interrupted start has one already.
func (s *server) addMember(ctx context.Context, remote *etcd.Client, configuration *embed.Config) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	own := configuration.AdvertisePeerUrls[0].String()
	present, err := remote.MemberList(ctx)
	if err != nil {
		return err
	}
	cluster, known := []string{}, false
	for _, member := range present.Members {
		switch {
		case member.Name == configuration.Name || (member.Name == "" && slices.Contains(member.PeerURLs, own)):
			known = true
			continue
		case slices.Contains(member.PeerURLs, own) || strings.HasPrefix(member.Name, s.node.Name+"-") && len(member.Name) == len(configuration.Name):
			return permanent{fmt.Errorf("duplicate node: %s at %s is still a member of the datastore; delete the Node of that name first", member.Name, own)}
		}
		for _, peer := range member.PeerURLs {
			cluster = append(cluster, member.Name+"="+peer)
		}
	}
	if !known {
		if _, err := remote.MemberAddAsLearner(ctx, []string{own}); err != nil {
			return err
		}
	}
	configuration.InitialCluster = strings.Join(append(cluster, configuration.InitialCluster), ",")
	configuration.ClusterState = embed.ClusterStateFlagExisting
	return nil
}

func promote(ctx context.Context, remote *etcd.Client, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	present, err := remote.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, member := range present.Members {
		if member.Name == name && !member.IsLearner {
			return nil
		}
		if member.Name == name {
			_, err := remote.MemberPromote(ctx, member.ID)
			return err
		}
	}
	return errors.New("the new member has not told its name yet")
}

// removeMember takes a deleted node's member out of the datastore.
func (s *server) removeMember(ctx context.Context, node string) error {
	client, err := s.etcdClient("127.0.0.1")
	if err != nil {
		return err
	}
	defer client.Close()
	present, err := client.MemberList(ctx)
	if err != nil {
		return err
	}
	for _, member := range present.Members {
		if name, found := strings.CutPrefix(member.Name, node+"-"); found && len(name) == 8 {
			log.Printf("removing %s from the datastore, since its node was deleted", member.Name)
			_, err := client.MemberRemove(ctx, member.ID)
			return err
		}
	}
	return nil
}

// checkToken refuses a secret that is not the cluster's: k3s could not read its bootstrap data with it.
func (s *server) checkToken(ctx context.Context) error {
	client, err := s.etcdClient("127.0.0.1")
	if err != nil {
		return err
	}
	defer client.Close()
	expected := token.Hash([]byte(s.token.Secret))
	found, err := client.Txn(ctx).If(etcd.Compare(etcd.CreateRevision(tokenKey), "=", 0)).
		Then(etcd.OpPut(tokenKey, expected)).Else(etcd.OpGet(tokenKey)).Commit()
	if err != nil {
		return err
	}
	if !found.Succeeded && string(found.Responses[0].GetResponseRange().Kvs[0].Value) != expected {
		return errors.New("bootstrap data already found and encrypted with different token")
	}
	return nil
}
