package e2e

// This file compares what a job tells Prometheus with what it has written.

import (
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads the process's metrics, as name{label values, by label}.
func (p *process) scrape() map[string]float64 {
	p.t.Helper()
	form := regexp.MustCompile(`"msg":"metrics".*"address":"([^"]+)"`)
	p.says(form.String())
	response, err := http.Get("http://" + form.FindStringSubmatch(p.output.String())[1] + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %v", response.Status, err)
	}
	values := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			values[key(name, m)] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

func key(name string, m *dto.Metric) string {
	labels := make([]string, 0, len(m.GetLabel()))
	for _, label := range m.GetLabel() {
		labels = append(labels, label.GetValue())
	}
	return name + "{" + strings.Join(labels, ",") + "}"
}

// sizes are how many data files are below a folder, and their bytes.
func (s *stream) sizes(folder string) (files, bytes float64) {
	s.t.Helper()
	for _, file := range s.files(folder) {
		if !strings.HasSuffix(file, ".parquet") {
			continue
		}
		info, err := os.Stat(filepath.Join(s.directory(), file))
		if err != nil {
			s.t.Fatal(err)
		}
		files, bytes = files+1, bytes+float64(info.Size())
	}
	return files, bytes
}

func wantMetrics(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, value := range want {
		if is, there := got[name]; !there || is != value {
			t.Errorf("%s is %v (there: %t), want %v", name, is, there, value)
		}
	}
}

// TestMetricsOfABackfill: at its last write they are what it has copied, rows and changes apart.
func TestMetricsOfABackfill(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, table, `INSERT INTO t SELECT i, 'row ' || i, i * 1.5 FROM generate_series(1, 2500) AS i`)
	s.misbehave(envHold + "=part-000003")
	job := s.start("b1")
	s.holding()
	wantMetrics(t, job.scrape(), map[string]float64{"arcane_plugin_rows_total{snapshot,backfill}": 2000, "arcane_plugin_rows_total{change,backfill}": 0})
	s.exec(`DELETE FROM t WHERE id <= 7`)
	s.release()
	job.want(0)

	s.behave()
	s.misbehave(envHold + "=manifest")
	job = s.start("b2")
	s.holding()
	got := job.scrape()
	files, bytes := s.sizes("backfill/b2")
	wantMetrics(t, got, map[string]float64{
		"arcane_plugin_rows_total{snapshot,backfill}":  2493,
		"arcane_plugin_files_total{snapshot,backfill}": files,
		"arcane_plugin_bytes_total{snapshot,backfill}": bytes,
		"arcane_plugin_rows_total{change,backfill}":    0,
	})
	if files != 3 {
		t.Errorf("%v files, want 3", files)
	}
	s.release()
	job.want(0)
}

// TestMetricsOfAStream: every change counts once, and the lag is the age of what waits.
func TestMetricsOfAStream(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, table, `INSERT INTO t SELECT i FROM generate_series(1, 100) AS i`)
	s.backfill("b1")
	job := s.start("")
	before := time.Now()
	s.exec(`INSERT INTO t (id) SELECT generate_series(101, 1400)`)
	s.exec(`UPDATE t SET name = 'x' WHERE id <= 50`)
	s.exec(`DELETE FROM t WHERE id <= 3`)
	s.verify()
	files, bytes := s.sizes("changes")
	got := job.scrape()
	wantMetrics(t, got, map[string]float64{
		"arcane_plugin_rows_total{change,stream}":   1353,
		"arcane_plugin_files_total{change,stream}":  files,
		"arcane_plugin_bytes_total{change,stream}":  bytes,
		"arcane_plugin_rows_total{snapshot,stream}": 0,
	})
	committed := got["arcane_plugin_last_commit_timestamp_seconds{stream}"]
	if age := float64(time.Now().UnixMicro())/1e6 - committed; age < 0 || age > time.Since(before).Seconds()+1 {
		t.Errorf("the newest change was committed %v s ago", age)
	}
	job.terminate()
	job.want(0)
}

// TestTheLag is small where nothing waits, and grows with what does.
func TestTheLag(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, table, `INSERT INTO t (id) VALUES (1)`)
	s.backfill("b1")
	s.misbehave(envHold + "=changes/")
	job := s.start("")
	lag := func() float64 {
		if value, there := job.scrape()["arcane_plugin_lag_seconds{stream}"]; there {
			return value
		}
		return math.Inf(1)
	}
	eventually(t, "the sink is in step", func() bool { return lag() < 5 })
	written := time.Now()
	s.exec(`INSERT INTO t (id) VALUES (2)`)
	s.holding()
	eventually(t, "the lag grows", func() bool { return lag() > 8 })
	if missing := job.scrape()["arcane_plugin_lag_bytes{stream}"]; missing == 0 {
		t.Error("nothing is said to be missing while a change waits")
	}
	if age := time.Since(written).Seconds(); lag() < age-1 {
		t.Errorf("the lag is %v s, and a change has waited for %v s", lag(), age)
	}
	s.release()
	eventually(t, "the sink is in step again", func() bool { return lag() < 5 })
	job.terminate()
	job.want(0)
}

// TestMetricsAreNoConditionOfTheData: another has the port, a scraper holds its connection; the job does its work.
func TestMetricsAreNoConditionOfTheData(t *testing.T) {
	t.Parallel()
	s := newStream(t, server, table, `INSERT INTO t (id) SELECT generate_series(1, 100)`)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	job := s.start("b1", "--metrics-address", taken.Addr().String())
	job.says("the job goes on without metrics.*address already in use")
	job.want(0)

	job = s.start("")
	job.scrape()
	form := regexp.MustCompile(`"msg":"metrics".*"address":"([^"]+)"`)
	half, err := net.Dial("tcp", form.FindStringSubmatch(job.output.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	defer half.Close()
	if _, err := io.WriteString(half, "GET /metrics HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	job.says(`"msg":"streaming"`)
	job.terminate()
	job.want(0)
}
