package agent

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"groundwork.dev/tools/k3s/token"
)

// ClusterConfig is what a server tells its agents.
type ClusterConfig struct {
	ClusterCIDR, ClusterDNS, ClusterDomain, FlannelBackend string
	DisableKubeProxy                                       bool
}

// Supervisor is a server, as those see it who join.
type Supervisor struct {
	url, user, secret string
	bearer            bool
	// Authority is the CA that the server showed and, if the token names one, proved to have.
	Authority []byte
	client    *http.Client
}

// Dial fetches the server's CA, holds it against the token, and trusts nothing else from then on.
func Dial(ctx context.Context, server string, join token.Token, user string) (*Supervisor, error) {
	server = strings.TrimRight(server, "/")
	if !strings.HasPrefix(server, "https://") {
		return nil, fmt.Errorf("only https:// URLs are supported, invalid scheme: %s", server)
	}
	unverified := &Supervisor{url: server, client: clientWith(&tls.Config{InsecureSkipVerify: true})} //nolint:gosec // verified next
	authority, err := unverified.Get(ctx, "/cacerts")
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	if err := join.Check(authority); err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, errors.New("the server's CA is not valid")
	}
	return &Supervisor{server, user, join.Secret, join.Bootstrap, authority, clientWith(&tls.Config{RootCAs: pool})}, nil
}

func clientWith(configuration *tls.Config) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: configuration, DisableKeepAlives: true}}
}

func (s *Supervisor) Get(ctx context.Context, path string) ([]byte, error) {
	return s.do(ctx, http.MethodGet, path, nil, nil)
}

func (s *Supervisor) Put(ctx context.Context, path string, body []byte) error {
	_, err := s.do(ctx, http.MethodPut, path, body, nil)
	return err
}

func (s *Supervisor) do(ctx context.Context, method, path string, body []byte, headers map[string]string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	if s.bearer {
		request.Header.Set("Authorization", "Bearer "+s.secret)
	} else if s.user != "" {
		request.SetBasicAuth(s.user, s.secret)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, strings.TrimSpace(string(content)))
	}
	return content, err
}
