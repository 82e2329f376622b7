// Package config reads k3s's settings: config.yaml, config.yaml.d, the environment and flags.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// Role is what a node is started as.
type Role string

const (
	Server Role = "server"
	Agent  Role = "agent"
)

const defaultFile = "/etc/rancher/k3s/config.yaml"

// Settings holds a value, or the values of a list, by k3s's own key.
type Settings struct {
	values map[string][]string
	// Ignored are the keys that k3s has and this stand-in does not carry out.
	Ignored []string
}

func (s Settings) List(key string) []string { return s.values[key] }

// Has tells whether a key was given at all.
func (s Settings) Has(key string) bool { return len(s.values[key]) > 0 }

func (s Settings) Flag(key string) bool { return s.Text(key, "false") == "true" }

// Text is a key's value, or, when it is not set, the fallback.
func (s Settings) Text(key, fallback string) string {
	if given := s.values[key]; len(given) > 0 {
		return given[len(given)-1]
	}
	return fallback
}

// Secret is the value of a key, or the content of the file that `<key>-file` names.
func (s Settings) Secret(key string) (string, error) {
	if s.Has(key) {
		return s.Text(key, ""), nil
	}
	if !s.Has(key + "-file") {
		return "", nil
	}
	content, err := os.ReadFile(s.Text(key+"-file", ""))
	if err != nil {
		return "", fmt.Errorf("%s-file: %w", key, err)
	}
	return strings.TrimSpace(string(content)), nil
}

var environment = map[string]string{
	"K3S_TOKEN": "token", "K3S_TOKEN_FILE": "token-file", "K3S_URL": "server",
	"K3S_AGENT_TOKEN": "agent-token", "K3S_AGENT_TOKEN_FILE": "agent-token-file",
	"K3S_NODE_NAME": "node-name", "K3S_DATA_DIR": "data-dir",
	"K3S_CLUSTER_INIT": "cluster-init", "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
}

// Load reads everything that decides how a node runs. Flags win over the environment, the environment over files.
func Load(role Role, arguments []string) (Settings, error) {
	settings := Settings{values: map[string][]string{}}
	flags, err := parseFlags(role, arguments)
	if err != nil {
		return settings, err
	}
	file := flags.Text("config", os.Getenv("K3S_CONFIG_FILE"))
	required := file != ""
	if !required {
		file = defaultFile
	}
	if err := settings.readFile(role, file, required); err != nil {
		return settings, err
	}
	parts, _ := filepath.Glob(filepath.Join(file+".d", "*.yaml"))
	sort.Strings(parts)
	for _, part := range parts {
		if err := settings.readFile(role, part, true); err != nil {
			return settings, err
		}
	}
	for variable, name := range environment {
		if value := os.Getenv(variable); value != "" {
			if _, known := lookup(role, name); known {
				settings.values[name] = []string{value}
			}
		}
	}
	for name, given := range flags.values {
		if found, _ := lookup(role, name); found.kind == list {
			given = append(settings.values[name], given...)
		}
		settings.values[name] = given
	}
	for name := range settings.values {
		if found, _ := lookup(role, name); !found.honored {
			settings.Ignored = append(settings.Ignored, name)
		}
	}
	sort.Strings(settings.Ignored)
	return settings, nil
}

func (s *Settings) readFile(role Role, file string, required bool) error {
	content, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !required {
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.merge(role, content); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// merge adds the keys of a YAML document. `key+` appends to what earlier documents say.
func (s *Settings) merge(role Role, document []byte) error {
	var content map[string]any
	if err := yaml.UnmarshalStrict(document, &content); err != nil {
		return err
	}
	for written, value := range content {
		name := strings.TrimSuffix(written, "+")
		found, known := lookup(role, name)
		if !known {
			return fmt.Errorf("unknown key %q for a k3s %s", written, role)
		}
		values, err := scalars(name, found.kind, value)
		if err != nil {
			return err
		}
		if name != written {
			values = append(append([]string{}, s.values[name]...), values...)
		}
		s.values[name] = values
	}
	return nil
}

func scalars(name string, wanted kind, value any) ([]string, error) {
	items, isList := value.([]any)
	if !isList {
		items = []any{value}
	} else if wanted != list {
		return nil, fmt.Errorf("%s: one value expected, and not a list", name)
	}
	var texts []string
	for _, item := range items {
		switch typed := item.(type) {
		case string:
			texts = append(texts, typed)
		case bool:
			texts = append(texts, strconv.FormatBool(typed))
		case float64:
			texts = append(texts, strconv.FormatFloat(typed, 'f', -1, 64))
		default:
			return nil, fmt.Errorf("%s: a text, a number or a truth value expected", name)
		}
	}
	if wanted == flag && len(texts) == 1 {
		if _, err := strconv.ParseBool(texts[0]); err != nil {
			return nil, fmt.Errorf("%s: true or false expected, seen %q", name, texts[0])
		}
	}
	if wanted == list && !isList {
		return strings.Split(texts[0], ","), nil
	}
	return texts, nil
}

var short = map[string]string{"c": "config", "d": "data-dir", "t": "token", "s": "server", "o": "write-kubeconfig"}

func parseFlags(role Role, arguments []string) (Settings, error) {
	flags := Settings{values: map[string][]string{}}
	for i := 0; i < len(arguments); i++ {
		name, value, inline := strings.Cut(strings.TrimLeft(arguments[i], "-"), "=")
		if long, ok := short[name]; ok {
			name = long
		}
		found, known := lookup(role, name)
		if !known || !strings.HasPrefix(arguments[i], "-") {
			return flags, fmt.Errorf("flag provided but not defined: %s", arguments[i])
		}
		switch {
		case inline:
		case found.kind == flag:
			value = "true"
		case i+1 < len(arguments):
			i++
			value = arguments[i]
		default:
			return flags, fmt.Errorf("flag needs an argument: %s", arguments[i])
		}
		values, err := scalars(name, found.kind, value)
		if err != nil {
			return flags, err
		}
		flags.values[name] = append(flags.values[name], values...)
	}
	return flags, nil
}
