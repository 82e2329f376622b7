package server

import (
	"errors"
	"fmt"
	"os"

	"groundwork.dev/tools/k3s/pki"
	"groundwork.dev/tools/k3s/token"
)

// loadTokens takes the secrets from the settings, or those of the last start, or makes the cluster's own.
func (s *server) loadTokens() error {
	written, err := s.settings.Secret("token")
	if err != nil {
		return err
	}
	if written == "" {
		content, err := os.ReadFile(s.node.Server("token"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		written = string(content)
	}
	if written == "" {
		if s.settings.Has("server") {
			return errors.New("token is required to join a cluster")
		}
		written = token.Random(16)
	}
	if s.token, err = token.Parse(written); err != nil {
		return fmt.Errorf("token: %w", err)
	}
	given, err := s.settings.Secret("agent-token")
	if err != nil || given == "" {
		s.agentToken = s.token
		return err
	}
	if s.agentToken, err = token.Parse(given); err != nil {
		return fmt.Errorf("agent-token: %w", err)
	}
	return nil
}

// writeTokens writes the files that joining nodes' tokens are taken from.
func (s *server) writeTokens() error {
	authority := s.authorities.server.PEM
	servers := token.Format(authority, "server:"+s.token.Secret) + "\n"
	agents := servers
	if s.agentToken.Secret != s.token.Secret {
		agents = token.Format(authority, "node:"+s.agentToken.Secret) + "\n"
	}
	for name, content := range map[string]string{"token": servers, "agent-token": agents} {
		if err := pki.WriteFile(s.node.Server(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	link := s.node.Server("node-token")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.Symlink(s.node.Server("token"), link)
}
