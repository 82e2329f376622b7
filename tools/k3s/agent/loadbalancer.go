package agent

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"groundwork.dev/tools/k3s/pki"
)

// loadBalancer gives this node's programs one address for all servers, so that none of them is needed for ever.
type loadBalancer struct {
	file    string
	mutex   sync.Mutex
	servers []string
}

// startLoadBalancer listens on loopback. It knows the configured server, and those that it heard of earlier.
func startLoadBalancer(ctx context.Context, port, server, file string) (*loadBalancer, error) {
	address, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	host := address.Host
	if address.Port() == "" {
		host = net.JoinHostPort(address.Hostname(), "443")
	}
	balancer := &loadBalancer{file: file, servers: []string{host}}
	var saved []string
	if content, err := os.ReadFile(file); err == nil && json.Unmarshal(content, &saved) == nil {
		balancer.learn(saved)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil {
		return nil, err
	}
	go func() {
		<-ctx.Done()
		listener.Close()
	}()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go balancer.serve(ctx, client)
		}
	}()
	return balancer, nil
}

// learn replaces the servers by those that there are now. The one in use stays in front.
func (b *loadBalancer) learn(servers []string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(servers) == 0 {
		return
	}
	inUse := b.servers[0]
	slices.SortStableFunc(servers, func(a, c string) int {
		switch {
		case a == inUse && c != inUse:
			return -1
		case c == inUse && a != inUse:
			return 1
		default:
			return 0
		}
	})
	if slices.Equal(servers, b.servers) {
		return
	}
	b.servers = servers
	content, _ := json.Marshal(servers)
	if err := pki.WriteFile(b.file, content, 0o600); err != nil {
		log.Printf("cannot keep the list of servers: %v", err)
	}
}

func (b *loadBalancer) dial(ctx context.Context) net.Conn {
	b.mutex.Lock()
	servers := slices.Clone(b.servers)
	b.mutex.Unlock()
	dialer := net.Dialer{Timeout: 3 * time.Second, KeepAlive: 5 * time.Second}
	for _, server := range servers {
		connection, err := dialer.DialContext(ctx, "tcp", server)
		if err != nil {
			continue
		}
		b.mutex.Lock()
		if at := slices.Index(b.servers, server); at > 0 {
			b.servers[0], b.servers[at] = b.servers[at], b.servers[0]
		}
		b.mutex.Unlock()
		return connection
	}
	return nil
}

func (b *loadBalancer) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	server := b.dial(ctx)
	if server == nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	pipe := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		ended <- struct{}{}
	}
	go pipe(server, client)
	go pipe(client, server)
	select {
	case <-ended:
	case <-ctx.Done():
	}
}
