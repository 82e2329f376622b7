package server

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"groundwork.dev/tools/k3s/images"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

//go:embed coredns.yaml
var corednsManifest string

// The plural of each kind in the manifest.
var resources = map[string]string{
	"ServiceAccount": "serviceaccounts", "ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings",
	"ConfigMap": "configmaps", "Service": "services", "Deployment": "deployments",
}

// ensureCoreDNS applies the one packaged component that there is, or removes it where it is disabled.
func (s *server) ensureCoreDNS(ctx context.Context) error {
	client, err := dynamic.NewForConfig(s.adminConfig())
	if err != nil {
		return err
	}
	objects, err := s.corednsObjects()
	if err != nil {
		return err
	}
	disabled := slices.Contains(s.settings.List("disable"), "coredns")
	for _, object := range objects {
		kind := object.GroupVersionKind()
		plural := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: resources[kind.Kind]}
		var target dynamic.ResourceInterface = client.Resource(plural)
		if namespace := object.GetNamespace(); namespace != "" {
			target = client.Resource(plural).Namespace(namespace)
		}
		if disabled {
			err = target.Delete(ctx, object.GetName(), meta.DeleteOptions{})
			if apierrors.IsNotFound(err) {
				err = nil
			}
		} else {
			_, err = target.Apply(ctx, object.GetName(), object, meta.ApplyOptions{FieldManager: "k3s", Force: true})
		}
		if err != nil {
			return fmt.Errorf("%s %s: %w", kind.Kind, object.GetName(), err)
		}
	}
	return nil
}

func (s *server) corednsObjects() ([]*unstructured.Unstructured, error) {
	cluster := s.clusterConfig()
	manifest := strings.NewReplacer(
		"%{CLUSTER_DOMAIN}%", cluster.ClusterDomain, "%{CLUSTER_DNS}%", cluster.ClusterDNS, "%{IMAGE}%", images.CoreDNS,
	).Replace(corednsManifest)
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewBufferString(manifest), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}
