package server

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"groundwork.dev/tools/k3s/agent"
	"groundwork.dev/tools/k3s/token"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fetchShared takes the cluster's authorities from a server of it.
func (s *server) fetchShared(ctx context.Context) error {
	supervisor, err := agent.Dial(ctx, s.settings.Text("server", ""), s.token, "server")
	if err != nil {
		return err
	}
	content, err := supervisor.Get(ctx, "/v1-k3s/server-bootstrap")
	if err != nil {
		return err
	}
	var files map[string][]byte
	if err := json.Unmarshal(content, &files); err != nil {
		return err
	}
	return s.writeShared(files)
}

func (s *server) secret() string {
	s.tokens.Lock()
	defer s.tokens.Unlock()
	return s.token.Secret
}

func (s *server) agentSecret() string {
	s.tokens.Lock()
	defer s.tokens.Unlock()
	return s.agentToken.Secret
}

// TokenRequest is what `k3s token rotate` sends.
type TokenRequest struct {
	NewToken string `json:"newToken"`
}

// rotateToken makes another secret the cluster's. The other servers take it at their next start, with the new one configured.
func (s *server) rotateToken(r *http.Request) (any, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<12))
	if err != nil {
		return nil, err
	}
	var wanted TokenRequest
	if err := json.Unmarshal(body, &wanted); err != nil {
		return nil, refusal{http.StatusBadRequest, err.Error()}
	}
	fresh, err := token.Parse(wanted.NewToken)
	if err != nil {
		return nil, refusal{http.StatusBadRequest, err.Error()}
	}
	client, err := s.etcdClient("127.0.0.1")
	if err != nil {
		return nil, err
	}
	defer client.Close()
	if _, err := client.Put(r.Context(), tokenKey, token.Hash([]byte(fresh.Secret))); err != nil {
		return nil, err
	}
	if err := s.saveBootstrap(r.Context(), client, fresh.Secret); err != nil {
		return nil, err
	}
	s.tokens.Lock()
	defer s.tokens.Unlock()
	if s.agentToken.Secret == s.token.Secret {
		s.agentToken = fresh
	}
	s.token = fresh
	return map[string]bool{"rotated": true}, s.writeTokens()
}

// isBootstrapToken finds a token that `k3s token create` has put into the cluster.
func (s *server) isBootstrapToken(r *http.Request, secret string) bool {
	if strings.HasSuffix(r.URL.Path, "/server-bootstrap") || strings.HasSuffix(r.URL.Path, "/token") {
		return false
	}
	parsed, err := token.Parse(secret)
	if err != nil || !parsed.Bootstrap {
		return false
	}
	client, err := s.client()
	if err != nil {
		return false
	}
	id, key, _ := strings.Cut(parsed.Secret, ".")
	kept, err := client.CoreV1().Secrets(meta.NamespaceSystem).Get(r.Context(), "bootstrap-token-"+id, meta.GetOptions{})
	return err == nil && same(string(kept.Data["token-secret"]), key) && !expired(string(kept.Data["expiration"]))
}
