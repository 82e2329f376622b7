// Package token reads and writes k3s's join tokens: `K10<SHA-256 of the CA>::<user>:<secret>`, or the secret alone.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Token is a join token. Hash is empty for one that does not name the cluster's CA.
type Token struct {
	Hash   string
	User   string
	Secret string
	// Bootstrap: the secret is one of kubeadm's kind, `<id>.<secret>`, kept in the cluster.
	Bootstrap bool
}

var (
	bootstrap = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)
	digest    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Parse reads a token in any of its forms.
func Parse(written string) (Token, error) {
	rest, secure := strings.CutPrefix(strings.TrimSpace(written), "K10")
	if !secure {
		if rest == "" {
			return Token{}, errors.New("token must not be empty")
		}
		return Token{Secret: rest, Bootstrap: bootstrap.MatchString(rest)}, nil
	}
	hash, credentials, found := strings.Cut(rest, "::")
	if !found || !digest.MatchString(hash) {
		return Token{}, errors.New("invalid token CA hash length")
	}
	if bootstrap.MatchString(credentials) {
		return Token{Hash: hash, Secret: credentials, Bootstrap: true}, nil
	}
	user, secret, found := strings.Cut(credentials, ":")
	if !found || secret == "" {
		return Token{}, errors.New("invalid token format")
	}
	return Token{Hash: hash, User: user, Secret: secret}, nil
}

// Format writes the secure form of credentials, such as `server:<secret>`.
func Format(authority []byte, credentials string) string {
	return "K10" + Hash(authority) + "::" + credentials
}

// Hash identifies a CA as `/cacerts` gives it.
func Hash(authority []byte) string {
	sum := sha256.Sum256(authority)
	return hex.EncodeToString(sum[:])
}

// Check compares the CA that a token names, if it names one, with the server's.
func (t Token) Check(authority []byte) error {
	if t.Hash == "" || t.Hash == Hash(authority) {
		return nil
	}
	return fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", t.Hash, Hash(authority))
}

// Random is a new secret of `bytes` bytes, in hexadecimal digits.
func Random(bytes int) string {
	buffer := make([]byte, bytes)
	_, _ = rand.Read(buffer) // never fails: it ends the program instead
	return hex.EncodeToString(buffer)
}
