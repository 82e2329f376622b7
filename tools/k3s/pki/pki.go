// Package pki keeps the cluster's certificate authorities and issues certificates from them.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
	// Renewed at a start when it ends sooner, as by k3s.
	renewBefore = 120 * 24 * time.Hour
)

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	PEM         []byte
	key         crypto.Signer
}

// Request says for whom a certificate is: `system:node:a`, or the names of a server.
type Request struct {
	Name          string
	Organizations []string
	// Names are host names and addresses; with any of them the certificate is for a server, too.
	Names []string
}

// EnsureAuthority reads `<base>.crt` and `<base>.key`, or makes them.
func EnsureAuthority(base string) (Authority, error) {
	if _, err := os.Stat(base + ".crt"); errors.Is(err, os.ErrNotExist) {
		if err := makeAuthority(base); err != nil {
			return Authority{}, err
		}
	}
	certificate, err := readCertificate(base + ".crt")
	if err != nil {
		return Authority{}, err
	}
	key, err := readKey(base + ".key")
	if err != nil {
		return Authority{}, err
	}
	return Authority{certificate, encodeCertificate(certificate.Raw), key}, nil
}

func makeAuthority(base string) error {
	key, err := ensureKey(base + ".key")
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: fmt.Sprintf("k3s-%s@%d", filepath.Base(base), now.Unix())},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	return WriteFile(base+".crt", encodeCertificate(der), 0o644)
}

// Sign issues a certificate for a key, followed by the authority's own.
func (a Authority) Sign(request Request, public crypto.PublicKey) ([]byte, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: request.Name, Organization: request.Organizations},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, name := range request.Names {
		if address := net.ParseIP(name); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if len(request.Names) > 0 {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
	if err != nil {
		return nil, err
	}
	return append(encodeCertificate(der), a.PEM...), nil
}

// Ensure keeps `<base>.crt` and `<base>.key` valid, for these names and from this authority.
func (a Authority) Ensure(base string, request Request) error {
	key, err := ensureKey(base + ".key")
	if err != nil {
		return err
	}
	if present, err := readCertificate(base + ".crt"); err == nil && a.serves(present, request, key) {
		return nil
	}
	certificate, err := a.Sign(request, key.Public())
	if err != nil {
		return err
	}
	return WriteFile(base+".crt", certificate, 0o644)
}

func (a Authority) serves(present *x509.Certificate, request Request, key crypto.Signer) bool {
	names := slices.Clone(present.DNSNames)
	for _, address := range present.IPAddresses {
		names = append(names, address.String())
	}
	for _, name := range request.Names {
		if !slices.Contains(names, name) {
			return false
		}
	}
	public, comparable := key.Public().(*ecdsa.PublicKey)
	return comparable && public.Equal(present.PublicKey) &&
		present.CheckSignatureFrom(a.certificate) == nil && time.Until(present.NotAfter) > renewBefore
}

// EnsureKey keeps a private key in a file and returns its public half.
func EnsureKey(file string) (crypto.PublicKey, error) {
	key, err := ensureKey(file)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

func ensureKey(file string) (crypto.Signer, error) {
	if key, err := readKey(file); !errors.Is(err, os.ErrNotExist) {
		return key, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func readKey(file string) (crypto.Signer, error) {
	block, err := readBlock(file)
	if err != nil {
		return nil, err
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func readCertificate(file string) (*x509.Certificate, error) {
	block, err := readBlock(file)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(block.Bytes)
}

func readBlock(file string) (*pem.Block, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block", file)
	}
	return block, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func serial() *big.Int {
	number, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	return number
}

// WriteFile makes a file appear whole or not at all, and its folder where it is missing.
func WriteFile(file string, content []byte, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Chmod(mode), temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), file)
}
