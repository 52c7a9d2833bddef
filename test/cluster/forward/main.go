// Command forward carries connections from an inherited listener to an address.
//
// The testbed starts it inside a cluster's network namespace and hands it, as
// descriptor 3, a listener that was opened on the host: a socket stays in the
// namespace in which it was made. So the host reaches the cluster, and neither
// side needs a route to the other.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: forward ADDRESS  (with a listener as descriptor 3)")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "forward:", err)
		os.Exit(1)
	}
}

func serve(target string) error {
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		return fmt.Errorf("take over the listener: %w", err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return fmt.Errorf("accept a connection: %w", err)
		}
		go carry(conn.(*net.TCPConn), target)
	}
}

// carry closes the client's connection where the target is not there, which the
// client sees as a refused one.
func carry(client *net.TCPConn, target string) {
	defer client.Close()
	conn, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(server, client) })
	both.Go(func() { pass(client, server) })
	both.Wait()
}

// pass hands the end of one direction on, so that the other one may still finish.
func pass(to, from *net.TCPConn) {
	_, _ = io.Copy(to, from)
	_ = to.CloseWrite()
	_ = from.CloseRead()
}
