// Package node knows this machine's name, address and folders.
package node

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"

	"groundwork.dev/tools/k3s/config"
	"groundwork.dev/tools/k3s/pki"
	"groundwork.dev/tools/k3s/token"
)

// Node is one machine of a cluster.
type Node struct {
	Name string
	IP   string
	// Data is k3s's data folder, /var/lib/rancher/k3s by default.
	Data string
}

func Identify(settings config.Settings) (Node, error) {
	host, err := os.Hostname()
	if err != nil {
		return Node{}, err
	}
	node := Node{
		Name: strings.ToLower(settings.Text("node-name", host)),
		IP:   settings.Text("node-ip", ""),
		Data: settings.Text("data-dir", "/var/lib/rancher/k3s"),
	}
	if node.IP == "" {
		if node.IP, err = ownAddress(); err != nil {
			return Node{}, err
		}
	}
	if net.ParseIP(node.IP) == nil {
		return Node{}, fmt.Errorf("node-ip: %q is no address", node.IP)
	}
	return node, nil
}

// ownAddress is the source of packets on the default route, or else any address that is no loopback's.
func ownAddress() (string, error) {
	if connection, err := net.Dial("udp", "192.0.2.1:9"); err == nil { // sends nothing
		defer connection.Close()
		return connection.LocalAddr().(*net.UDPAddr).IP.String(), nil
	}
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("this machine has no address yet; set node-ip")
}

func (n Node) Server(parts ...string) string {
	return filepath.Join(append([]string{n.Data, "server"}, parts...)...)
}

func (n Node) Agent(parts ...string) string {
	return filepath.Join(append([]string{n.Data, "agent"}, parts...)...)
}

// Password is what this machine proves its node name with. It is made at the first start.
func (n Node) Password() (string, error) {
	const file = "/etc/rancher/node/password"
	content, err := os.ReadFile(file)
	if err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	password := token.Random(16)
	return password, pki.WriteFile(file, []byte(password+"\n"), 0o600)
}

// LogIgnored says which settings have no effect here.
func LogIgnored(settings config.Settings) {
	for _, name := range settings.Ignored {
		log.Printf("setting %s is known to k3s but not carried out by this stand-in", name)
	}
}
