package server

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/pki"
	"groundwork.dev/tools/k3s/token"
)

// authorities are the cluster's own. All servers have the same.
type authorities struct{ server, client, requestHeader, etcdServer, etcdPeer pki.Authority }

func (s *server) tls(parts ...string) string {
	return s.node.Server(append([]string{"tls"}, parts...)...)
}

// shared are the files that make a server one of this cluster's, below its folder.
var shared = []string{
	"tls/server-ca.crt", "tls/server-ca.key", "tls/client-ca.crt", "tls/client-ca.key",
	"tls/request-header-ca.crt", "tls/request-header-ca.key",
	"tls/etcd/server-ca.crt", "tls/etcd/server-ca.key", "tls/etcd/peer-ca.crt", "tls/etcd/peer-ca.key",
	"tls/service.key", "cred/encryption-config.json",
}

func (s *server) readShared() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, name := range shared {
		content, err := os.ReadFile(s.node.Server(name))
		if errors.Is(err, os.ErrNotExist) && name == "cred/encryption-config.json" {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[name] = content
	}
	return files, nil
}

func (s *server) writeShared(files map[string][]byte) error {
	for name, content := range files {
		if !slices.Contains(shared, name) {
			return fmt.Errorf("the server's bundle has an unexpected file %q", name)
		}
		if err := pki.WriteFile(s.node.Server(name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) ensureCredentials() error {
	for name, authority := range map[string]*pki.Authority{
		"server-ca": &s.authorities.server, "client-ca": &s.authorities.client,
		"request-header-ca": &s.authorities.requestHeader,
		"etcd/server-ca":    &s.authorities.etcdServer, "etcd/peer-ca": &s.authorities.etcdPeer,
	} {
		made, err := pki.EnsureAuthority(s.tls(name))
		if err != nil {
			return err
		}
		*authority = made
	}
	if _, err := pki.EnsureKey(s.tls("service.key")); err != nil {
		return err
	}
	if err := s.ensureEncryption(); err != nil {
		return err
	}
	return s.ensureCertificates()
}

func (s *server) ensureCertificates() error {
	domain := s.settings.Text("cluster-domain", "cluster.local")
	names := append([]string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + domain,
		"localhost", "127.0.0.1", s.serviceIP(1), s.node.IP, s.node.Name,
	}, s.settings.List("tls-san")...)
	own := []string{"localhost", "127.0.0.1", s.node.IP, s.node.Name}
	a := s.authorities
	for base, issue := range map[string]struct {
		authority pki.Authority
		request   pki.Request
	}{
		"serving-kube-apiserver":  {a.server, pki.Request{Name: "kube-apiserver", Names: names}},
		"client-admin":            {a.client, pki.Request{Name: "system:admin", Organizations: []string{"system:masters"}}},
		"client-controller":       {a.client, pki.Request{Name: "system:kube-controller-manager"}},
		"client-scheduler":        {a.client, pki.Request{Name: "system:kube-scheduler"}},
		"client-kube-apiserver":   {a.client, pki.Request{Name: "system:apiserver", Organizations: []string{"system:masters"}}},
		"client-auth-proxy":       {a.requestHeader, pki.Request{Name: "system:auth-proxy"}},
		"etcd/client":             {a.etcdServer, pki.Request{Name: "etcd-client"}},
		"etcd/server-client":      {a.etcdServer, pki.Request{Name: "etcd-server", Names: own}},
		"etcd/peer-server-client": {a.etcdPeer, pki.Request{Name: "etcd-peer", Names: own}},
	} {
		if err := issue.authority.Ensure(s.tls(base), issue.request); err != nil {
			return err
		}
	}
	return nil
}

// ensureEncryption makes the key that secrets are stored under, where the configuration wants it.
func (s *server) ensureEncryption() error {
	file := s.node.Server("cred/encryption-config.json")
	if _, err := os.Stat(file); err == nil || !s.settings.Flag("secrets-encryption") {
		return nil
	}
	key := base64.StdEncoding.EncodeToString([]byte(token.Random(16))) // 32 digits are the 32 bytes of AES-256
	type object = map[string]any
	content, err := json.Marshal(object{
		"kind": "EncryptionConfiguration", "apiVersion": "apiserver.config.k8s.io/v1",
		"resources": []object{{"resources": []string{"secrets"}, "providers": []object{
			{"aescbc": object{"keys": []object{{"name": "aescbckey", "secret": key}}}}, {"identity": object{}},
		}}},
	})
	if err != nil {
		return err
	}
	return pki.WriteFile(file, content, 0o600)
}

// serviceIP is the n-th address of the services' network.
func (s *server) serviceIP(n byte) string {
	_, network, err := net.ParseCIDR(s.settings.Text("service-cidr", defaultServiceCIDR))
	if err != nil {
		return ""
	}
	address := slices.Clone(network.IP)
	address[len(address)-1] += n
	return address.String()
}

func (s *server) writeKubeconfigs() error {
	local := "https://127.0.0.1:" + s.port()
	for _, name := range []string{"controller", "scheduler"} {
		file := s.node.Server("cred", name+".kubeconfig")
		if err := node.WriteKubeconfig(file, local, s.tls("server-ca.crt"), s.tls("client-"+name), 0o600); err != nil {
			return err
		}
	}
	mode, err := strconv.ParseUint(s.settings.Text("write-kubeconfig-mode", "600"), 8, 32)
	if err != nil {
		return fmt.Errorf("write-kubeconfig-mode: %w", err)
	}
	admin := s.settings.Text("write-kubeconfig", "/etc/rancher/k3s/k3s.yaml")
	if err := os.MkdirAll(filepath.Dir(admin), 0o755); err != nil {
		return err
	}
	return node.WriteKubeconfig(admin, local, s.tls("server-ca.crt"), s.tls("client-admin"), os.FileMode(mode))
}
