package config

// kind says how a key's value is written.
type kind int

const (
	text kind = iota
	flag
	list
)

// key is one setting of k3s: its kind, and whether this stand-in carries it out.
// What it does not carry out is accepted with a line in the log, as long as k3s knows it.
type key struct {
	kind    kind
	honored bool
}

// agentKeys are those of `k3s agent`, which `k3s server` takes as well.
var agentKeys = map[string]key{
	"config": {text, true}, "data-dir": {text, true}, "debug": {flag, false},
	"server": {text, true}, "token": {text, true}, "token-file": {text, true},
	"node-name": {text, true}, "with-node-id": {flag, false},
	"node-ip": {list, true}, "node-external-ip": {list, false},
	"node-label": {list, true}, "node-taint": {list, true},
	"kubelet-arg": {list, true}, "kube-proxy-arg": {list, true},
	"private-registry": {text, false}, "protect-kernel-defaults": {flag, false},
	"flannel-iface": {text, false}, "lb-server-port": {text, true},
	"container-runtime-endpoint": {text, false}, "pause-image": {text, true},
	"snapshotter": {text, true}, "resolv-conf": {text, true}, "selinux": {flag, false},
	"prefer-bundled-bin": {flag, false}, "image-credential-provider-config": {text, false},
	"image-credential-provider-bin-dir": {text, false}, "disable-apiserver-lb": {flag, false},
	"default-runtime": {text, false}, "v": {text, false}, "vmodule": {text, false},
	"log": {text, false}, "alsologtostderr": {flag, false}, "rootless": {flag, false},
	"bind-address": {text, false}, "vpn-auth": {text, false}, "vpn-auth-file": {text, false},
	"nonroot-devices": {flag, false}, "disable-default-registry-endpoint": {flag, false},
}

var serverKeys = map[string]key{
	"https-listen-port": {text, true}, "advertise-address": {text, true},
	"tls-san": {list, true}, "tls-san-security": {flag, false}, "cluster-cidr": {list, true},
	"service-cidr": {list, true}, "service-node-port-range": {text, true},
	"cluster-dns": {list, true}, "cluster-domain": {text, true},
	"flannel-backend": {text, true}, "flannel-ipv6-masq": {flag, false},
	"flannel-external-ip": {flag, false}, "egress-selector-mode": {text, false},
	"servicelb-namespace": {text, false}, "write-kubeconfig": {text, true},
	"write-kubeconfig-mode": {text, true}, "write-kubeconfig-group": {text, false},
	"agent-token": {text, true}, "agent-token-file": {text, true},
	"cluster-init": {flag, true}, "cluster-reset": {flag, true},
	"cluster-reset-restore-path": {text, true}, "kube-apiserver-arg": {list, true},
	"etcd-arg": {list, false}, "kube-controller-manager-arg": {list, true},
	"kube-scheduler-arg": {list, true}, "kube-cloud-controller-manager-arg": {list, false},
	"datastore-endpoint": {text, false}, "datastore-cafile": {text, false},
	"datastore-certfile": {text, false}, "datastore-keyfile": {text, false},
	"etcd-expose-metrics": {flag, false}, "etcd-disable-snapshots": {flag, true},
	"etcd-snapshot-name": {text, true}, "etcd-snapshot-schedule-cron": {text, true},
	"etcd-snapshot-retention": {text, true}, "etcd-snapshot-dir": {text, true},
	"etcd-snapshot-compress": {flag, false}, "etcd-snapshot-reconcile-interval": {text, false},
	"etcd-s3": {flag, true}, "etcd-s3-endpoint": {text, true},
	"etcd-s3-endpoint-ca": {text, false}, "etcd-s3-skip-ssl-verify": {flag, false},
	"etcd-s3-access-key": {text, true}, "etcd-s3-secret-key": {text, true},
	"etcd-s3-session-token": {text, false}, "etcd-s3-bucket": {text, true},
	"etcd-s3-bucket-lookup-type": {text, false}, "etcd-s3-region": {text, true},
	"etcd-s3-folder": {text, true}, "etcd-s3-insecure": {flag, true},
	"etcd-s3-proxy": {text, false}, "etcd-s3-config-secret": {text, false},
	"etcd-s3-timeout": {text, false}, "etcd-s3-retention": {text, false},
	"default-local-storage-path": {text, false}, "disable": {list, true},
	"disable-scheduler": {flag, true}, "disable-cloud-controller": {flag, false},
	"disable-kube-proxy": {flag, true}, "disable-network-policy": {flag, false},
	"disable-helm-controller": {flag, false}, "disable-agent": {flag, true},
	"disable-apiserver": {flag, false}, "disable-controller-manager": {flag, true},
	"disable-etcd": {flag, false}, "embedded-registry": {flag, false},
	"supervisor-metrics": {flag, false}, "secrets-encryption": {flag, true},
	"secrets-encryption-provider": {text, false}, "system-default-registry": {text, false},
	"helm-job-image": {text, false}, "enable-pprof": {flag, false}, "advertise-port": {text, false},
}

func lookup(role Role, name string) (key, bool) {
	if found, ok := agentKeys[name]; ok {
		return found, true
	}
	if role == Server {
		found, ok := serverKeys[name]
		return found, ok
	}
	return key{}, false
}
