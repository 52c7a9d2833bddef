// How the plugin is told from outside to end: `plugin-scripted exit CODE`, run in
// the same pod.

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
)

// The plugin of a pod is its container's first process.
const pluginPID = "1"

// socketOf is an abstract socket: it needs no folder that can be written to, and
// like the network it is the pod's own.
func socketOf(pid string) string { return "@arcane-scripted-" + pid }

// listen delivers the exit codes that the plugin is told. Without a socket it goes
// on, as nothing but a test depends on it.
func listen(log *slog.Logger) <-chan int {
	told := make(chan int, 1)
	var config net.ListenConfig
	socket, err := config.Listen(context.Background(), "unix", socketOf(strconv.Itoa(os.Getpid())))
	if err != nil {
		log.Error("cannot be told to end", slog.Any("error", err))
		return told
	}
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			code, err := receive(conn)
			if err != nil {
				log.Error("was told something unreadable", slog.Any("error", err))
				continue
			}
			told <- code
		}
	}()
	return told
}

// receive returns when the teller has gone: with the plugin's process all others
// of its container end, and the teller is to report its success before.
func receive(conn net.Conn) (int, error) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("read the exit code: %w", err)
	}
	code, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return 0, fmt.Errorf("read the exit code: %w", err)
	}
	if _, err := fmt.Fprintln(conn, "understood"); err != nil {
		return 0, fmt.Errorf("answer: %w", err)
	}
	_, err = io.Copy(io.Discard, reader)
	return code, err
}

// tell is the other side: it tells the plugin of a process number to exit. The
// plugin waits until the connection is closed, which is for the end of this process
// to do: whoever closes it sooner may be killed before the success is reported.
func tell(pid, code string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(context.Background(), "unix", socketOf(pid))
	if err != nil {
		return nil, fmt.Errorf("find the plugin: %w", err)
	}
	if _, err := fmt.Fprintln(conn, code); err != nil {
		return nil, fmt.Errorf("tell the plugin: %w", err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); err != nil {
		return nil, fmt.Errorf("the plugin has not understood %q: %w", code, err)
	} else if strings.TrimSpace(answer) != "understood" {
		return nil, fmt.Errorf("the plugin answered %q", answer)
	}
	return conn, nil
}
