package server

import (
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"

	"groundwork.dev/tools/k3s/agent"
	"groundwork.dev/tools/k3s/pki"
)

// supervisor puts the paths by which nodes join in front of the API server's.
func (s *server) supervisor() func(http.Handler) http.Handler {
	return func(api http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", api)
		mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "pong")
		})
		mux.HandleFunc("GET /cacerts", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(s.authorities.server.PEM)
		})
		handle := func(pattern string, allowed func(user, secret string) bool, answer func(*http.Request) (any, error)) {
			mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, allowed, answer) })
		}
		handle("GET /v1-k3s/server-bootstrap", s.isServer, func(*http.Request) (any, error) { return s.readShared() })
		handle("GET /v1-k3s/config", s.isNode, func(*http.Request) (any, error) { return s.clusterConfig(), nil })
		handle("GET /v1-k3s/apiservers", s.isNode, func(r *http.Request) (any, error) { return s.apiServers(r.Context()) })
		handle("GET /v1-k3s/client-ca.crt", s.isNode, func(*http.Request) (any, error) { return s.authorities.client.PEM, nil })
		handle("POST /v1-k3s/{certificate}", s.isNode, s.issue)
		handle("PUT /v1-k3s/token", s.isServer, s.rotateToken)
		// A ServeMux would redirect what it finds unclean, such as a proxied path with two slashes.
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/ping" || r.URL.Path == "/cacerts" || strings.HasPrefix(r.URL.Path, "/v1-k3s/") {
				mux.ServeHTTP(w, r)
				return
			}
			api.ServeHTTP(w, r)
		})
	}
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	reason string
}

func (r refusal) Error() string { return r.reason }

func (s *server) answer(w http.ResponseWriter, r *http.Request, allowed func(string, string) bool, answer func(*http.Request) (any, error)) {
	user, secret, _ := r.BasicAuth()
	if bearer, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); found {
		user, secret = "node", bearer
	}
	if !allowed(user, secret) && !s.isBootstrapToken(r, secret) {
		http.Error(w, "not authorized", http.StatusUnauthorized)
		return
	}
	content, err := answer(r)
	var refused refusal
	switch {
	case errors.As(err, &refused):
		http.Error(w, refused.reason, refused.status)
	case err != nil:
		log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
		http.Error(w, "internal error", http.StatusInternalServerError)
	default:
		if raw, isRaw := content.([]byte); isRaw {
			_, _ = w.Write(raw)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(content)
	}
}

func (s *server) isServer(user, secret string) bool {
	return user == "server" && same(secret, s.secret())
}

func (s *server) isNode(user, secret string) bool {
	return s.isServer(user, secret) || user == "node" && (same(secret, s.agentSecret()) || same(secret, s.secret()))
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *server) clusterConfig() agent.ClusterConfig {
	return agent.ClusterConfig{
		ClusterCIDR:      s.settings.Text("cluster-cidr", defaultClusterCIDR),
		ClusterDNS:       s.settings.Text("cluster-dns", s.serviceIP(10)),
		ClusterDomain:    s.settings.Text("cluster-domain", "cluster.local"),
		FlannelBackend:   s.settings.Text("flannel-backend", "vxlan"),
		DisableKubeProxy: s.settings.Flag("disable-kube-proxy"),
	}
}

// issue signs a node's key for what the certificate's name says.
func (s *server) issue(r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<16))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(body)
	if block == nil {
		return nil, refusal{http.StatusBadRequest, "a certificate request in PEM is expected"}
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || request.CheckSignature() != nil {
		return nil, refusal{http.StatusBadRequest, "the certificate request is not valid"}
	}
	name, address := r.Header.Get("k3s-Node-Name"), r.Header.Get("k3s-Node-IP")
	if name == "" {
		return nil, refusal{http.StatusBadRequest, "node name not set"}
	}
	if err := s.checkPassword(r.Context(), name, r.Header.Get("k3s-Node-Password")); err != nil {
		return nil, err
	}
	switch certificate := r.PathValue("certificate"); certificate {
	case "client-kubelet.crt":
		return s.authorities.client.Sign(pki.Request{Name: "system:node:" + name, Organizations: []string{"system:nodes"}}, request.PublicKey)
	case "serving-kubelet.crt":
		return s.authorities.server.Sign(pki.Request{Name: name, Names: []string{name, "localhost", "127.0.0.1", address}}, request.PublicKey)
	case "client-kube-proxy.crt":
		return s.authorities.client.Sign(pki.Request{Name: "system:kube-proxy"}, request.PublicKey)
	case "client-k3s-controller.crt":
		return s.authorities.client.Sign(pki.Request{Name: controllerUser}, request.PublicKey)
	default:
		return nil, refusal{http.StatusNotFound, fmt.Sprintf("no certificate %q", certificate)}
	}
}
