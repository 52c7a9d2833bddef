package source

// This file looks whether the kernel was asked to notice a dead server.

import (
	"net"
	"syscall"
	"testing"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/spec"
)

func TestADeadServerIsNoticed(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	config, err := Source{Spec: spec.Source{Host: "127.0.0.1", Port: 1, Database: "d", SSLMode: "disable"}}.config()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := config.DialFunc(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	raw, err := conn.(*net.TCPConn).SyscallConn() //nolint:forcetypeassert // a TCP connection was asked for
	if err != nil {
		t.Fatal(err)
	}
	options := map[string]int{}
	err = raw.Control(func(fd uintptr) {
		for name, option := range map[string]int{"user timeout": tcpUserTimeout, "idle": syscall.TCP_KEEPIDLE, "interval": syscall.TCP_KEEPINTVL, "count": syscall.TCP_KEEPCNT} {
			options[name], _ = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if seconds := options["idle"] + options["interval"]*options["count"]; options["user timeout"] != int(unheard.Milliseconds()) || seconds > 60 {
		t.Errorf("a dead server is noticed after %v", options)
	}
}
