package agent

import (
	"log"
	"os"
	"os/exec"

	"groundwork.dev/tools/k3s/pki"
	"groundwork.dev/tools/k3s/process"
	"sigs.k8s.io/yaml"
)

func startKubelet(group *process.Group, options Options, cluster ClusterConfig) error {
	machine, settings := options.Node, options.Settings
	driver := "cgroupfs"
	if underSystemd() {
		driver = "systemd"
	}
	type object = map[string]any
	configuration := object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false}, "webhook": object{"enabled": true},
			"x509": object{"clientCAFile": machine.Agent("client-ca.crt")},
		},
		"authorization": object{"mode": "Webhook"},
		"tlsCertFile":   machine.Agent("serving-kubelet.crt"), "tlsPrivateKeyFile": machine.Agent("serving-kubelet.key"),
		"cgroupDriver": driver, "failSwapOn": false, "serializeImagePulls": false,
		"clusterDNS": []string{cluster.ClusterDNS}, "clusterDomain": cluster.ClusterDomain,
		"containerRuntimeEndpoint": "unix://" + Socket,
		"evictionHard":             object{"imagefs.available": "5%", "nodefs.available": "5%"},
		"evictionMinimumReclaim":   object{"imagefs.available": "10%", "nodefs.available": "10%"},
		"resolvConf":               settings.Text("resolv-conf", resolvers()),
		"staticPodPath":            machine.Agent("pod-manifests"),
	}
	content, err := yaml.Marshal(configuration)
	if err != nil {
		return err
	}
	file := machine.Agent("etc", "kubelet.yaml")
	if err := pki.WriteFile(file, content, 0o600); err != nil {
		return err
	}
	if err := os.MkdirAll(machine.Agent("pod-manifests"), 0o700); err != nil {
		return err
	}
	arguments := []string{
		"--config=" + file, "--kubeconfig=" + machine.Agent("kubelet.kubeconfig"),
		"--hostname-override=" + machine.Name, "--node-ip=" + machine.IP,
		"--node-labels=node.kubernetes.io/instance-type=k3s",
	}
	for _, label := range settings.List("node-label") {
		arguments[len(arguments)-1] += "," + label
	}
	for _, taint := range settings.List("node-taint") {
		arguments = append(arguments, "--register-with-taints="+taint)
	}
	for _, argument := range settings.List("kubelet-arg") {
		arguments = append(arguments, "--"+argument)
	}
	group.Self("kubelet", arguments...)
	return nil
}

// resolvers is a file whose servers pods can reach: not the stub on loopback.
func resolvers() string {
	const real = "/run/systemd/resolve/resolv.conf"
	if _, err := os.Stat(real); err == nil {
		return real
	}
	return "/etc/resolv.conf"
}

func startKubeProxy(group *process.Group, options Options, cluster ClusterConfig) {
	arguments := []string{
		"--kubeconfig=" + options.Node.Agent("kube-proxy.kubeconfig"), "--hostname-override=" + options.Node.Name,
		"--cluster-cidr=" + cluster.ClusterCIDR, "--proxy-mode=iptables", "--healthz-bind-address=127.0.0.1:10256",
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
	}
	for _, argument := range options.Settings.List("kube-proxy-arg") {
		arguments = append(arguments, "--"+argument)
	}
	group.Self("kube-proxy", arguments...)
}

// prepareKernel loads what containers and their network need. A kernel may have it built in, so nothing here is fatal.
func prepareKernel() {
	for _, module := range []string{"overlay", "br_netfilter", "nf_conntrack"} {
		if output, err := exec.Command("modprobe", module).CombinedOutput(); err != nil {
			log.Printf("module %s was not loaded: %v %s", module, err, output)
		}
	}
	for _, file := range []string{"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/bridge/bridge-nf-call-iptables"} {
		if err := os.WriteFile(file, []byte("1"), 0); err != nil {
			log.Printf("cannot set %s: %v", file, err)
		}
	}
}
