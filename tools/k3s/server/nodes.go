package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"time"

	"groundwork.dev/tools/k3s/token"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// controllerUser is who the part of k3s on each node that is not the kubelet reads the API as.
const controllerUser = "system:k3s-controller"

func (s *server) client() (*kubernetes.Clientset, error) {
	return kubernetes.NewForConfig(s.adminConfig())
}

func (s *server) adminConfig() *rest.Config {
	base := s.tls("client-admin")
	return &rest.Config{
		Host: "https://127.0.0.1:" + s.port(),
		TLSClientConfig: rest.TLSClientConfig{
			CAFile: s.tls("server-ca.crt"), CertFile: base + ".crt", KeyFile: base + ".key",
		},
	}
}

func (s *server) waitForAPI(ctx context.Context) (*kubernetes.Clientset, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	for {
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(5 * time.Second).DoRaw(ctx)
		if err == nil {
			return client, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// grantNodes lets every node read the nodes' addresses and pod networks, from which it makes its routes.
func grantNodes(ctx context.Context, client kubernetes.Interface) error {
	role := &rbac.ClusterRole{
		ObjectMeta: meta.ObjectMeta{Name: controllerUser},
		Rules:      []rbac.PolicyRule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch"}}},
	}
	binding := &rbac.ClusterRoleBinding{
		ObjectMeta: meta.ObjectMeta{Name: controllerUser},
		RoleRef:    rbac.RoleRef{APIGroup: rbac.GroupName, Kind: "ClusterRole", Name: controllerUser},
		Subjects:   []rbac.Subject{{APIGroup: rbac.GroupName, Kind: rbac.UserKind, Name: controllerUser}},
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, meta.CreateOptions{}); err != nil && !errors.IsAlreadyExists(err) {
		return err
	}
	_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, meta.CreateOptions{})
	if errors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// watchNodes gives this server's node its roles, and cleans up after deleted nodes.
func (s *server) watchNodes(ctx context.Context, client kubernetes.Interface) {
	factory := informers.NewSharedInformerFactory(client, 10*time.Minute)
	handlers := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { s.labelOwn(ctx, client, object) },
		UpdateFunc: func(_, object any) { s.labelOwn(ctx, client, object) },
		DeleteFunc: func(object any) {
			if tombstone, missed := object.(cache.DeletedFinalStateUnknown); missed {
				object = tombstone.Obj
			}
			if deleted, isNode := object.(*core.Node); isNode {
				s.forget(ctx, client, deleted.Name)
			}
		},
	}
	if _, err := factory.Core().V1().Nodes().Informer().AddEventHandler(handlers); err != nil {
		log.Printf("cannot watch nodes: %v", err)
		return
	}
	factory.Start(ctx.Done())
}

func (s *server) labelOwn(ctx context.Context, client kubernetes.Interface, object any) {
	own, isNode := object.(*core.Node)
	if !isNode || own.Name != s.node.Name {
		return
	}
	wanted := map[string]string{"node-role.kubernetes.io/control-plane": "true"}
	if s.clustered() {
		wanted["node-role.kubernetes.io/etcd"] = "true"
	}
	for name, value := range wanted {
		if own.Labels[name] == value {
			delete(wanted, name)
		}
	}
	if len(wanted) == 0 {
		return
	}
	patch, _ := json.Marshal(map[string]any{"metadata": map[string]any{"labels": wanted}})
	if _, err := client.CoreV1().Nodes().Patch(ctx, own.Name, types.StrategicMergePatchType, patch, meta.PatchOptions{}); err != nil {
		log.Printf("cannot label node %s: %v", own.Name, err)
	}
}

func passwordSecret(node string) string { return node + ".node-password.k3s" }

// forget drops the password and the datastore's member of a deleted node, so that a new one may take its name.
func (s *server) forget(ctx context.Context, client kubernetes.Interface, name string) {
	err := client.CoreV1().Secrets(meta.NamespaceSystem).Delete(ctx, passwordSecret(name), meta.DeleteOptions{})
	if err != nil && !errors.IsNotFound(err) {
		log.Printf("cannot forget the password of node %s: %v", name, err)
	}
	if s.clustered() && name != s.node.Name {
		if err := s.removeMember(ctx, name); err != nil {
			log.Printf("cannot remove node %s from the datastore: %v", name, err)
		}
	}
}

// checkPassword keeps the password of the first node with a name, and refuses others that call themselves so.
func (s *server) checkPassword(ctx context.Context, name, password string) error {
	if password == "" {
		return refusal{http.StatusBadRequest, "node password not set"}
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	secrets := client.CoreV1().Secrets(meta.NamespaceSystem)
	hash := []byte(token.Hash([]byte(name + password)))
	secret := &core.Secret{ObjectMeta: meta.ObjectMeta{Name: passwordSecret(name)}, Data: map[string][]byte{"hash": hash}}
	_, err = secrets.Create(ctx, secret, meta.CreateOptions{})
	if !errors.IsAlreadyExists(err) {
		return err
	}
	known, err := secrets.Get(ctx, passwordSecret(name), meta.GetOptions{})
	if err != nil {
		return err
	}
	if !same(string(known.Data["hash"]), string(hash)) {
		return refusal{http.StatusForbidden, fmt.Sprintf("unable to verify hash for node '%s': hash does not match", name)}
	}
	return nil
}

// apiServers are the addresses of all servers, as the API servers themselves announce them.
func (s *server) apiServers(ctx context.Context) ([]string, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	slices, err := client.DiscoveryV1().EndpointSlices(meta.NamespaceDefault).List(ctx, meta.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
	if err != nil {
		return nil, err
	}
	addresses := []string{}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			for _, address := range endpoint.Addresses {
				addresses = append(addresses, address+":"+s.port())
			}
		}
	}
	return addresses, nil
}
