package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func load(t *testing.T, role Role, document string, arguments ...string) (Settings, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(role, append([]string{"--config", file}, arguments...))
}

func TestLoadReadsTextsFlagsAndLists(t *testing.T) {
	settings, err := load(t, Server, "node-name: a\ncluster-init: true\ntls-san: [x, 10.0.0.1]\nnode-ip: 10.0.0.2\nhttps-listen-port: 6443\n")
	if err != nil {
		t.Fatal(err)
	}
	if settings.Text("node-name", "") != "a" || !settings.Flag("cluster-init") || settings.Text("https-listen-port", "") != "6443" {
		t.Errorf("read %v", settings.values)
	}
	if !reflect.DeepEqual(settings.List("tls-san"), []string{"x", "10.0.0.1"}) || !reflect.DeepEqual(settings.List("node-ip"), []string{"10.0.0.2"}) {
		t.Errorf("read %v", settings.values)
	}
}

func TestLoadRefusesWhatK3sDoesNotKnow(t *testing.T) {
	for document, expected := range map[string]string{
		"node-nmae: a\n":             `unknown key "node-nmae"`,
		"cluster-init: maybe\n":      "true or false expected",
		"node-name: [a, b]\n":        "one value expected",
		"node-name: a\nnode-name: b": "already set",
	} {
		if _, err := load(t, Server, document); err == nil || !strings.Contains(err.Error(), expected) {
			t.Errorf("%q: %v", document, err)
		}
	}
	if _, err := load(t, Agent, "cluster-init: true\n"); err == nil {
		t.Error("an agent took a key of servers")
	}
}

func TestLoadLetsFlagsWinAndListsGrow(t *testing.T) {
	settings, err := load(t, Server, "token: a\nnode-label: [a=1]\n", "--token=b", "--node-label", "b=2", "--disable-agent")
	if err != nil {
		t.Fatal(err)
	}
	if settings.Text("token", "") != "b" || !settings.Flag("disable-agent") || !reflect.DeepEqual(settings.List("node-label"), []string{"a=1", "b=2"}) {
		t.Errorf("read %v", settings.values)
	}
}

func TestLoadNamesWhatIsNotCarriedOut(t *testing.T) {
	settings, err := load(t, Agent, "selinux: true\nnode-name: a\n")
	if err != nil || !reflect.DeepEqual(settings.Ignored, []string{"selinux"}) {
		t.Errorf("ignored %v, %v", settings.Ignored, err)
	}
}

func TestLoadMergesTheFolderInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(name, content string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "tls-san: [a]\nnode-name: first\n")
	write(file+".d/1.yaml", "tls-san+: [b]\n")
	write(file+".d/2.yaml", "node-name: last\n")
	settings, err := Load(Server, []string{"-c", file})
	if err != nil {
		t.Fatal(err)
	}
	if settings.Text("node-name", "") != "last" || !reflect.DeepEqual(settings.List("tls-san"), []string{"a", "b"}) {
		t.Errorf("read %v", settings.values)
	}
}
