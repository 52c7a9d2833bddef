// Free ports on the host's loopback address.

package testbed

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// The range lies below the one from which the kernel takes the local ports of
// outgoing connections: a port from there could be taken between being found free
// and being listened on.
const (
	firstPort = 20000
	lastPort  = 31999
)

// pickPorts finds ports for this cluster and reserves them while nobody else picks,
// so that two clusters that start together get different ones.
func (c *Cluster) pickPorts(ctx context.Context) error {
	unlock, err := lockFile(ctx, filepath.Join(cacheFolder(), "locks", "ports"), nil)
	if err != nil {
		return err
	}
	defer unlock()
	taken := reservedPorts(c.reservation())
	for _, port := range []*int{&c.state.APIPort, &c.state.EtcdPort, &c.state.EtcdPeer} {
		if *port, err = freePort(taken); err != nil {
			return err
		}
		taken[*port] = true
	}
	raw, err := json.Marshal(c.state)
	if err != nil {
		return fmt.Errorf("remember the ports: %w", err)
	}
	if err := os.MkdirAll(reservations(), 0o755); err != nil {
		return fmt.Errorf("remember the ports: %w", err)
	}
	return replaceFile(c.reservation(), raw, 0o644)
}

// reservations is a folder that all clusters share wherever their own folders are:
// a test's is a temporary one.
func reservations() string { return filepath.Join(cacheFolder(), "ports") }

func (c *Cluster) reservation() string { return filepath.Join(reservations(), c.id) }

// reservedPorts lists what clusters reserved, running or not, but for one of them.
func reservedPorts(except string) map[int]bool {
	taken := map[int]bool{}
	files, err := filepath.Glob(filepath.Join(reservations(), "*"))
	if err != nil {
		return taken
	}
	for _, file := range files {
		if file == except {
			continue
		}
		var s state
		if raw, err := os.ReadFile(file); err == nil && json.Unmarshal(raw, &s) == nil {
			taken[s.APIPort], taken[s.EtcdPort], taken[s.EtcdPeer] = true, true, true
		}
	}
	return taken
}

// FreePort finds a port of the loopback for a server of a test's own. It lies below the kernel's ephemeral range, so that no
// outgoing connection takes it. It is not reserved: another caller may find the same port until the server listens.
func FreePort(ctx context.Context) (int, error) {
	unlock, err := lockFile(ctx, filepath.Join(cacheFolder(), "locks", "ports"), nil)
	if err != nil {
		return 0, err
	}
	defer unlock()
	return freePort(reservedPorts(""))
}

func freePort(taken map[int]bool) (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if taken[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, fmt.Errorf("find a free port on 127.0.0.1: none between %d and %d", firstPort, lastPort)
}
