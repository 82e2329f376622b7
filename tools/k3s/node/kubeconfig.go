package node

import (
	"os"

	"groundwork.dev/tools/k3s/pki"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"
)

// WriteKubeconfig writes access by certificate, everything inline, under k3s's name `default`.
func WriteKubeconfig(file, server, authority, certificateBase string, mode os.FileMode) error {
	read := func(name string) []byte {
		content, _ := os.ReadFile(name) // what is missing shows as a kubeconfig that is refused
		return content
	}
	kubeconfig := api.NewConfig()
	kubeconfig.Clusters["default"] = &api.Cluster{Server: server, CertificateAuthorityData: read(authority)}
	kubeconfig.AuthInfos["default"] = &api.AuthInfo{
		ClientCertificateData: read(certificateBase + ".crt"), ClientKeyData: read(certificateBase + ".key"),
	}
	kubeconfig.Contexts["default"] = &api.Context{Cluster: "default", AuthInfo: "default"}
	kubeconfig.CurrentContext = "default"
	content, err := clientcmd.Write(*kubeconfig)
	if err != nil {
		return err
	}
	return pki.WriteFile(file, content, mode)
}
