package pki

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
)

func TestEnsureIssuesOnceAndAgainForAnotherName(t *testing.T) {
	folder := t.TempDir()
	authority, err := EnsureAuthority(filepath.Join(folder, "server-ca"))
	if err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(folder, "serving")
	issue := func(names ...string) string {
		if err := authority.Ensure(base, Request{Name: "kube-apiserver", Names: names}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(base + ".crt")
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	first := issue("a", "10.0.0.1")
	if issue("a", "10.0.0.1") != first {
		t.Error("a valid certificate was issued anew")
	}
	if issue("a", "10.0.0.2") == first {
		t.Error("a certificate without the new address was kept")
	}
	certificate, err := readCertificate(base + ".crt")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.PEM)
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, DNSName: "10.0.0.2"}); err != nil {
		t.Error(err)
	}
}

func TestEnsureAuthorityKeepsTheCluster(t *testing.T) {
	base := filepath.Join(t.TempDir(), "client-ca")
	first, err := EnsureAuthority(base)
	if err != nil {
		t.Fatal(err)
	}
	second, err := EnsureAuthority(base)
	if err != nil || string(first.PEM) != string(second.PEM) {
		t.Errorf("another authority: %v", err)
	}
	if err := os.WriteFile(base+".crt", []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := EnsureAuthority(base); err == nil {
		t.Error("a damaged authority was replaced in silence")
	}
}
