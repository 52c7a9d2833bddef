// Command probe is what the testbed's own test runs in a pod: it does one thing,
// says how it went, and ends.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

const caFile = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("want one of: version, dial ADDRESS, serve ADDRESS")
	}
	switch {
	case args[0] == "version":
		return version()
	case args[0] == "dial" && len(args) == 2:
		return dial(args[1])
	case args[0] == "serve" && len(args) == 2:
		return http.ListenAndServe(args[1], http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "served")
		}))
	}
	return fmt.Errorf("unknown: %q", args)
}

// version asks the API server at its Service, as every operator does.
func version() error {
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return fmt.Errorf("read the cluster's authority: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
	}
	url := "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")) + "/version"
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Printf("%s %s\n%s", url, resp.Status, body)
	if err == nil && resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", resp.Status)
	}
	return err
}

// dial tries again for a while: a Service refuses until kube-proxy has heard of a pod
// that has just become ready.
func dial(address string) error {
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err == nil {
			fmt.Println("reached", address)
			return conn.Close()
		}
		if time.Since(began) > 20*time.Second {
			return err
		}
	}
}
