// The same with two real processes: one is stopped by SIGSTOP at each of its writes
// and goes on by SIGCONT.

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/arcane-streaming/arcane-operator/test/story"
)

// How two processes meet.
const (
	stoppedMidway mode = "SIGSTOP, then SIGCONT at the other's first write"
	stoppedAtEnd  mode = "SIGSTOP, then SIGCONT when the other is done"
	deposed       mode = "SIGSTOP of the Lease's holder, then SIGCONT when the other is done"
)

// relay is a process's own way to the API server, with a wire in it.
type relay struct {
	server     *httptest.Server
	kubeconfig string
}

func newRelay(w *story.World, folder, name string, over *wire) (*relay, error) {
	cfg, err := w.Cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(cfg.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     over.over(transport),
		FlushInterval: -1, // the events of a watch come one by one
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	r := &relay{server: httptest.NewServer(proxy), kubeconfig: filepath.Join(folder, name+".kubeconfig")}
	config := api.NewConfig()
	config.Clusters["relay"] = &api.Cluster{Server: r.server.URL}
	config.Contexts["relay"] = &api.Context{Cluster: "relay"}
	config.CurrentContext = "relay"
	return r, clientcmd.WriteToFile(*config, r.kubeconfig)
}

// end cuts all connections: a watch would keep the relay open for ever.
func (r *relay) end() {
	r.server.CloseClientConnections()
	r.server.Close()
}

// processes are two of the operator's own. The first is stopped at the write that
// is aimed at; then the second comes, or takes over the Lease, and acts.
type processes struct {
	*pair
	how           mode
	first, second *story.Process
	relays        []*relay
}

func newProcesses(w *story.World, a aim, how mode, binary, folder string) (*processes, error) {
	p := &processes{pair: newPair(w, a, how == stoppedMidway), how: how}
	for _, one := range []struct {
		name    string
		over    *wire
		process **story.Process
	}{{"first", p.pair.first, &p.first}, {"second", p.pair.other, &p.second}} {
		r, err := newRelay(w, folder, one.name, one.over)
		if err != nil {
			return nil, err
		}
		p.relays = append(p.relays, r)
		*one.process = &story.Process{
			Binary: binary, Kubeconfig: r.kubeconfig, LogFile: filepath.Join(folder, one.name+".log"),
		}
		if how == deposed {
			// The last of two flags of one name counts.
			(*one.process).Args = []string{"--leader-elect", "--leader-election-namespace=" + w.Namespace}
		}
	}
	return p, nil
}

// Start starts the first process.
func (p *processes) Start(ctx context.Context) error {
	if err := p.first.Start(ctx); err != nil {
		return err
	}
	if p.how == deposed {
		// The one that waits is ready too.
		if err := p.second.Start(ctx); err != nil {
			return err
		}
	}
	go p.attend(ctx)
	return nil
}

func (p *processes) attend(ctx context.Context) {
	defer close(p.ended)
	select {
	case <-p.stop:
		return
	case <-p.pair.first.hit:
	}
	if p.err = p.first.Pause(ctx); p.err != nil {
		return
	}
	if p.err = p.second.Start(ctx); p.err != nil {
		return
	}
	if p.early {
		p.awaitOther()
		p.err = p.goOn()
	}
	<-p.stop
}

// goOn lets the first process go on, and its request reach the API server.
func (p *processes) goOn() error {
	err := p.first.Continue()
	p.pair.first.resume()
	return err
}

// Settle lets the first process go on, now that the second has done all that was to
// do. One that has lost the Lease ends by itself.
func (p *processes) Settle(ctx context.Context) error {
	hit, _, err := p.pair.first.wasHit()
	if err != nil || !hit || p.early {
		return err
	}
	if err := p.goOn(); err != nil || p.how != deposed {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, p.world.Patience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for p.first.Running() {
		select {
		case <-ctx.Done():
			return errors.New("the first process runs on although it has lost the Lease")
		case <-ticker.C:
		}
	}
	return nil
}

// Stop ends both processes.
func (p *processes) Stop(ctx context.Context) error {
	close(p.stop)
	<-p.ended
	err := p.err
	if p.first.Running() {
		err = errors.Join(err, p.goOn(), p.first.Stop(ctx))
	}
	err = errors.Join(err, p.second.Stop(ctx))
	for _, r := range p.relays {
		r.end()
	}
	return err
}

// Log is the end of what both have said.
func (p *processes) Log() string {
	ctx := context.Background()
	return "first:\n" + p.first.Log(ctx, p.world.Namespace) + "\nsecond:\n" + p.second.Log(ctx, p.world.Namespace)
}

func TestPausedProcess(t *testing.T) {
	story.DependOn(t, "api", "cmd", "config", "internal")
	binary, err := story.BuildOperator(t.Context(), t.TempDir(), os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	modes := []mode{stoppedMidway, stoppedAtEnd, deposed}
	table := newTable(t, "One of two real processes, paused at a write of its start", modes...)
	s := scenarios[0]
	without := reference(t, s)
	table.begin(s, without)
	// One after the other: a process acts in all namespaces.
	for k, at := range without.writes {
		for _, how := range modes {
			if !chosen(k, how) {
				continue
			}
			t.Run(fmt.Sprintf("%02d/%s", k+1, how), func(t *testing.T) {
				table.try(t, s, k+1, how, without, func(w *story.World) company {
					p, err := newProcesses(w, aim{at, held}, how, binary, t.TempDir())
					if err != nil {
						panic(untrue(err.Error()))
					}
					return p
				})
			})
		}
	}
}

// chosen steps: all, or a fixed sample: the release of the first job and the claim of the second.
func chosen(k int, how mode) bool {
	return *everything || k == 6 && how == stoppedAtEnd || k == 12 && how == stoppedMidway
}
