// A Prometheus of the test's own.

package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
)

// Server is a Prometheus that runs beside the test, on the loopback, with a folder of its own.
type Server struct {
	address string
	cmd     *exec.Cmd
	ended   chan struct{}
	log     string
}

// configuration scrapes as the ServiceMonitor does: what the operator says of a
// stream's namespace stays. One second is enough, as tests wait.
const configuration = `global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: arcane-metrics
    honor_labels: true
    static_configs: [{targets: [%q], labels: {instance: operator}}]
`

// Start lets it scrape an address, and evaluate rules.
func Start(ctx context.Context, folder, target string, rules Groups) (*Server, error) {
	binary, err := Tool("prometheus")
	if err != nil {
		return nil, err
	}
	if err := rules.Write(filepath.Join(folder, "rules.yaml")); err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "prometheus.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, target), 0o600); err != nil {
		return nil, fmt.Errorf("configure Prometheus: %w", err)
	}
	address, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{address: address, ended: make(chan struct{}), log: filepath.Join(folder, "prometheus.log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("open Prometheus' log: %w", err)
	}
	defer log.Close()
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), binary,
		"--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// It must not stay behind when the test itself is killed.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Prometheus: %w", err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	return s, s.awaitReady(ctx)
}

// FreeAddress is one on the loopback that nobody listens on.
func FreeAddress(ctx context.Context) (string, error) {
	port, err := testbed.FreePort(ctx)
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := s.Query(ctx, "vector(1)", time.Now()); err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("prometheus has ended by itself:\n%s", s.Log())
		case <-ctx.Done():
			return fmt.Errorf("prometheus does not answer:\n%s", s.Log())
		case <-ticker.C:
		}
	}
}

// Log is what it has printed.
func (s *Server) Log() string {
	raw, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

// Stop ends it.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end Prometheus: %w", err)
	}
	<-s.ended
	return nil
}

// Answer is a vector: the value of each series, by its labels.
type Answer map[string]float64

// Query asks for the value of an expression at a time. A scalar has no labels.
func (s *Server) Query(ctx context.Context, expr string, at time.Time) (Answer, error) {
	var result struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	}
	values := url.Values{"query": {expr}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)}}
	if err := s.get(ctx, "/api/v1/query?"+values.Encode(), &result); err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	type sample struct {
		Metric map[string]string `json:"metric"`
		Value  [2]any            `json:"value"`
	}
	samples := []sample{{}}
	var into any = &samples
	if result.Type == "scalar" {
		into = &samples[0].Value
	}
	if err := json.Unmarshal(result.Result, into); err != nil {
		return nil, fmt.Errorf("%s: read the answer: %w", expr, err)
	}
	answer := Answer{}
	for _, one := range samples {
		value, err := strconv.ParseFloat(fmt.Sprint(one.Value[1]), 64)
		if err != nil {
			return nil, fmt.Errorf("%s: read the answer: %w", expr, err)
		}
		answer[labelsOf(one.Metric)] = value
	}
	return answer, nil
}

func labelsOf(metric map[string]string) string {
	var text []string
	for _, name := range slices.Sorted(maps.Keys(metric)) {
		text = append(text, fmt.Sprintf("%s=%q", name, metric[name]))
	}
	return "{" + strings.Join(text, ", ") + "}"
}

func (s *Server) get(ctx context.Context, path string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+path, nil)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask Prometheus: %w", err)
	}
	defer response.Body.Close()
	var answer struct {
		Status string          `json:"status"`
		Error  string          `json:"error"`
		Data   json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return fmt.Errorf("ask Prometheus: %s: %w", response.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("ask Prometheus: %s", answer.Error)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return fmt.Errorf("read Prometheus' answer: %w", err)
	}
	return nil
}
