package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"

	"groundwork.dev/tools/k3s/node"
	"groundwork.dev/tools/k3s/pki"
)

// register gets this machine its certificates, for new keys each time, and the cluster's settings.
func register(ctx context.Context, supervisor *Supervisor, machine node.Node) (ClusterConfig, error) {
	var cluster ClusterConfig
	password, err := machine.Password()
	if err != nil {
		return cluster, err
	}
	headers := map[string]string{"k3s-Node-Name": machine.Name, "k3s-Node-Password": password, "k3s-Node-IP": machine.IP}
	for _, name := range []string{"client-kubelet", "serving-kubelet", "client-kube-proxy", "client-k3s-controller"} {
		key, request, err := certificateRequest(machine.Name)
		if err != nil {
			return cluster, err
		}
		certificate, err := supervisor.do(ctx, "POST", "/v1-k3s/"+name+".crt", request, headers)
		if err != nil {
			return cluster, err
		}
		if err := pki.WriteFile(machine.Agent(name+".key"), key, 0o600); err != nil {
			return cluster, err
		}
		if err := pki.WriteFile(machine.Agent(name+".crt"), certificate, 0o600); err != nil {
			return cluster, err
		}
	}
	clients, err := supervisor.Get(ctx, "/v1-k3s/client-ca.crt")
	if err != nil {
		return cluster, err
	}
	for name, content := range map[string][]byte{"client-ca.crt": clients, "server-ca.crt": supervisor.Authority} {
		if err := pki.WriteFile(machine.Agent(name), content, 0o600); err != nil {
			return cluster, err
		}
	}
	content, err := supervisor.Get(ctx, "/v1-k3s/config")
	if err != nil {
		return cluster, err
	}
	return cluster, json.Unmarshal(content, &cluster)
}

func certificateRequest(name string) (keyPEM, requestPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}), nil
}
