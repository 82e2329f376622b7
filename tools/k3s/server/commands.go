package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"groundwork.dev/tools/k3s/agent"
	"groundwork.dev/tools/k3s/config"
	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/token"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// bootstrapType marks secrets that are join tokens.
const bootstrapType core.SecretType = "bootstrap.kubernetes.io/token"

// Tokens is what `k3s token` works with, on a server that runs.
type Tokens struct{ server *server }

func OpenTokens(settings config.Settings) (Tokens, error) {
	identity, err := node.Identify(settings)
	return Tokens{&server{settings: settings, node: identity}}, err
}

// Create makes a join token for agents that ends after a time; zero is never.
func (t Tokens) Create(ctx context.Context, life time.Duration, description string) (string, error) {
	client, err := t.server.client()
	if err != nil {
		return "", err
	}
	authority, err := os.ReadFile(t.server.tls("server-ca.crt"))
	if err != nil {
		return "", err
	}
	id, key := token.Random(3), token.Random(8)
	secret := &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: "bootstrap-token-" + id}, Type: bootstrapType,
		StringData: map[string]string{
			"token-id": id, "token-secret": key, "description": description,
			"usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
			"auth-extra-groups": "system:bootstrappers:k3s:default-node-token",
		},
	}
	if life > 0 {
		secret.StringData["expiration"] = time.Now().Add(life).UTC().Format(time.RFC3339)
	}
	if _, err := client.CoreV1().Secrets(meta.NamespaceSystem).Create(ctx, secret, meta.CreateOptions{}); err != nil {
		return "", err
	}
	return token.Format(authority, id+"."+key), nil
}

func expired(expiration string) bool {
	if expiration == "" {
		return false
	}
	end, err := time.Parse(time.RFC3339, expiration)
	return err != nil || time.Now().After(end)
}

// List writes a table of the join tokens, without their secrets.
func (t Tokens) List(ctx context.Context, out io.Writer) error {
	client, err := t.server.client()
	if err != nil {
		return err
	}
	secrets, err := client.CoreV1().Secrets(meta.NamespaceSystem).List(ctx, meta.ListOptions{FieldSelector: "type=" + string(bootstrapType)})
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 10, 4, 3, ' ', 0)
	fmt.Fprintln(table, "TOKEN\tEXPIRES\tDESCRIPTION")
	for _, secret := range secrets.Items {
		ends := string(secret.Data["expiration"])
		if ends == "" {
			ends = "<never>"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", secret.Data["token-id"], ends, secret.Data["description"])
	}
	return table.Flush()
}

func (t Tokens) Delete(ctx context.Context, written string) error {
	client, err := t.server.client()
	if err != nil {
		return err
	}
	id, _, _ := strings.Cut(written, ".")
	return client.CoreV1().Secrets(meta.NamespaceSystem).Delete(ctx, "bootstrap-token-"+id, meta.DeleteOptions{})
}

// Rotate replaces the servers' secret. An empty one is made anew.
func (t Tokens) Rotate(ctx context.Context, old, fresh string) error {
	if old == "" {
		content, err := os.ReadFile(t.server.node.Server("token"))
		if err != nil {
			return err
		}
		old = string(content)
	}
	if fresh == "" {
		fresh = token.Random(16)
	}
	current, err := token.Parse(old)
	if err != nil {
		return err
	}
	supervisor, err := agent.Dial(ctx, "https://127.0.0.1:"+t.server.port(), current, "server")
	if err != nil {
		return err
	}
	body, err := json.Marshal(TokenRequest{NewToken: fresh})
	if err != nil {
		return err
	}
	return supervisor.Put(ctx, "/v1-k3s/token", body)
}

// RotateCertificates sets this machine's certificates aside, so that the next start issues new ones. k3s must be stopped.
func RotateCertificates(settings config.Settings) error {
	identity, err := node.Identify(settings)
	if err != nil {
		return err
	}
	s := &server{settings: settings, node: identity}
	backup := s.node.Server(fmt.Sprintf("tls-%d", time.Now().Unix()))
	patterns := []string{"serving-*", "client-admin.*", "client-controller.*", "client-scheduler.*",
		"client-kube-apiserver.*", "client-auth-proxy.*", "etcd/client.*", "etcd/*server-client.*"}
	for _, pattern := range patterns {
		files, err := filepath.Glob(s.tls(pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := moveTo(backup, file); err != nil {
				return err
			}
		}
	}
	return nil
}

func moveTo(folder, file string) error {
	target := filepath.Join(folder, filepath.Base(filepath.Dir(file)), filepath.Base(file))
	return errors.Join(os.MkdirAll(filepath.Dir(target), 0o700), os.Rename(file, target))
}
