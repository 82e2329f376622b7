package server

import (
	"context"
	"net/http"
	"os"
	"slices"

	"github.com/spf13/pflag"
	"groundwork.dev/tools/k3s/process"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	cliflag "k8s.io/component-base/cli/flag"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// runAPIServer runs Kubernetes' API server in this process, with k3s's own paths in front of its handler,
// so that both share port and certificate.
func runAPIServer(ctx context.Context, arguments []string, wrap func(http.Handler) http.Handler) error {
	given := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	flags.SetNormalizeFunc(cliflag.WordSepNormalizeFunc)
	sets := given.Flags()
	for _, set := range sets.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	registry := given.GenericServerRunOptions.ComponentGlobalsRegistry
	if err := registry.Set(); err != nil {
		return err
	}
	if err := logsapi.ValidateAndApply(given.Logs, nil); err != nil {
		return err
	}
	completed, err := given.Complete(ctx)
	if err != nil {
		return err
	}
	if problems := completed.Validate(); len(problems) > 0 {
		return utilerrors.NewAggregate(problems)
	}
	configuration, err := app.NewConfig(completed)
	if err != nil {
		return err
	}
	whole, err := configuration.Complete()
	if err != nil {
		return err
	}
	chain, err := app.CreateServerChain(whole)
	if err != nil {
		return err
	}
	prepared, err := chain.PrepareRun()
	if err != nil {
		return err
	}
	handler := chain.GenericAPIServer.Handler
	handler.FullHandlerChain = wrap(handler.FullHandlerChain)
	return prepared.Run(ctx)
}

func (s *server) apiServerArguments() []string {
	etcdClient := s.tls("etcd", "client")
	arguments := []string{
		"--advertise-address=" + s.settings.Text("advertise-address", s.node.IP),
		"--secure-port=" + s.port(),
		"--allow-privileged=true",
		"--anonymous-auth=false",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--enable-bootstrap-token-auth=true",
		"--client-ca-file=" + s.tls("client-ca.crt"),
		"--tls-cert-file=" + s.tls("serving-kube-apiserver.crt"),
		"--tls-private-key-file=" + s.tls("serving-kube-apiserver.key"),
		"--etcd-servers=https://127.0.0.1:" + clientPort,
		"--etcd-cafile=" + s.tls("etcd", "server-ca.crt"),
		"--etcd-certfile=" + etcdClient + ".crt",
		"--etcd-keyfile=" + etcdClient + ".key",
		"--service-account-issuer=https://kubernetes.default.svc." + s.settings.Text("cluster-domain", "cluster.local"),
		"--service-account-key-file=" + s.tls("service.key"),
		"--service-account-signing-key-file=" + s.tls("service.key"),
		"--service-cluster-ip-range=" + s.settings.Text("service-cidr", defaultServiceCIDR),
		"--service-node-port-range=" + s.settings.Text("service-node-port-range", "30000-32767"),
		"--kubelet-certificate-authority=" + s.tls("server-ca.crt"),
		"--kubelet-client-certificate=" + s.tls("client-kube-apiserver.crt"),
		"--kubelet-client-key=" + s.tls("client-kube-apiserver.key"),
		"--kubelet-preferred-address-types=InternalIP,Hostname",
		"--requestheader-client-ca-file=" + s.tls("request-header-ca.crt"),
		"--requestheader-allowed-names=system:auth-proxy",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + s.tls("client-auth-proxy.crt"),
		"--proxy-client-key-file=" + s.tls("client-auth-proxy.key"),
		"--profiling=false",
	}
	if file := s.node.Server("cred/encryption-config.json"); exists(file) {
		arguments = append(arguments, "--encryption-provider-config="+file)
	}
	return append(arguments, asFlags(s.settings.List("kube-apiserver-arg"))...)
}

func (s *server) startControllers(group *process.Group) {
	elect := []string{"--leader-elect=false"}
	if s.clustered() {
		// Unaccelerated guests miss Kubernetes' own deadlines, and would start these programs over and over.
		elect = []string{"--leader-elect-lease-duration=60s", "--leader-elect-renew-deadline=50s", "--leader-elect-retry-period=3s"}
	}
	if !s.settings.Flag("disable-controller-manager") {
		kubeconfig := s.node.Server("cred/controller.kubeconfig")
		group.Self("kube-controller-manager", append([]string{
			"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
			"--bind-address=127.0.0.1", "--profiling=false", "--use-service-account-credentials=true",
			"--service-account-private-key-file=" + s.tls("service.key"), "--root-ca-file=" + s.tls("server-ca.crt"),
			"--cluster-signing-cert-file=" + s.tls("client-ca.crt"), "--cluster-signing-key-file=" + s.tls("client-ca.key"),
			"--allocate-node-cidrs=true", "--cluster-cidr=" + s.settings.Text("cluster-cidr", defaultClusterCIDR),
			"--service-cluster-ip-range=" + s.settings.Text("service-cidr", defaultServiceCIDR),
		}, append(slices.Clone(elect), asFlags(s.settings.List("kube-controller-manager-arg"))...)...)...)
	}
	if !s.settings.Flag("disable-scheduler") {
		kubeconfig := s.node.Server("cred/scheduler.kubeconfig")
		group.Self("kube-scheduler", append([]string{
			"--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
			"--bind-address=127.0.0.1", "--profiling=false",
		}, append(slices.Clone(elect), asFlags(s.settings.List("kube-scheduler-arg"))...)...)...)
	}
}

// asFlags turns k3s's `name=value` into a program's `--name=value`.
func asFlags(given []string) []string {
	flags := make([]string, len(given))
	for i, argument := range given {
		flags[i] = "--" + argument
	}
	return flags
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
