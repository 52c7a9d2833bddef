package source

// This file asks the kernel to notice that the other side is gone.

import (
	"fmt"
	"strings"
	"syscall"
	"time"
)

// unheard is how long a server may leave what was sent to it unacknowledged. Without
// it the kernel tries for a quarter of an hour, in which nothing is streamed.
const unheard = 45 * time.Second

// tcpUserTimeout is TCP_USER_TIMEOUT of linux/tcp.h, in milliseconds.
const tcpUserTimeout = 18

func noticeSilence(network, _ string, conn syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil // a socket of this machine's own
	}
	var err error
	controlErr := conn.Control(func(fd uintptr) {
		err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unheard.Milliseconds()))
	})
	if controlErr != nil {
		return fmt.Errorf("set up a connection: %w", controlErr)
	}
	if err != nil {
		return fmt.Errorf("set up a connection: %w", err)
	}
	return nil
}
