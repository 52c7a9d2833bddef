// The operator in the test's own process: one manager after the other.

package faults_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/operator"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// journal is a log in memory.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to the log.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// last lines of the log.
func (j *journal) last(count int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(j.text.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}

// life is one manager, with caches of its own, from its start to its end.
type life struct {
	wire   *wire
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

// begin starts a manager that knows only the scenario's own namespace and class.
func begin(ctx context.Context, w *story.World, name string, over *wire, log *journal) (*life, error) {
	cfg, err := w.Cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	cfg = operator.Connection(cfg, "faults")
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return over.over(next) })
	o, err := operator.Options()
	if err != nil {
		return nil, err
	}
	o.Cache.DefaultFieldSelector = fields.OneTermEqualSelector("metadata.namespace", w.Namespace)
	o.Cache.ByObject[&streamingv1.StreamClass{}] = cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", w.Class)}
	o.Metrics = metricsserver.Options{BindAddress: "0"}
	o.Controller.SkipNameValidation = ptr.To(true)
	o.Logger = zap.New(zap.WriteTo(log), zap.Level(zapcore.DebugLevel), zap.JSONEncoder()).WithValues("operator", name)
	mgr, err := ctrl.NewManager(cfg, o)
	if err != nil {
		return nil, fmt.Errorf("make a manager: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	if err := operator.Register(ctx, mgr, 4, nil, nil, nil); err != nil {
		cancel()
		return nil, err
	}
	l := &life{wire: over, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.err = mgr.Start(ctx)
	}()
	return l, nil
}

// end ends the manager and returns when nothing of it runs any more.
func (l *life) end() error {
	l.cancel()
	<-l.ended
	return l.err
}

// mortal is an operator that dies at the write that is aimed at, once. The next one
// begins with empty caches when nothing of the first runs any more.
type mortal struct {
	world *story.World
	first *wire
	log   journal

	stop  chan struct{}
	ended chan struct{}
	err   error
}

func newMortal(w *story.World, a aim) *mortal {
	return &mortal{world: w, first: newWire(w, a), stop: make(chan struct{}), ended: make(chan struct{})}
}

// Start starts the first manager.
func (m *mortal) Start(ctx context.Context) error {
	l, err := begin(ctx, m.world, "first", m.first, &m.log)
	if err != nil {
		return err
	}
	go m.tend(ctx, l)
	return nil
}

func (m *mortal) tend(ctx context.Context, l *life) {
	defer close(m.ended)
	select {
	case <-m.stop:
		m.err = l.end()
		return
	case <-l.ended:
		m.err = fmt.Errorf("the operator has ended by itself: %w", l.err)
		return
	case <-m.first.hit:
	}
	// How a dead process ends interests nobody.
	_ = l.end()
	l, err := begin(ctx, m.world, "second", newWire(m.world, aim{}), &m.log)
	if err != nil {
		m.err = err
		return
	}
	select {
	case <-m.stop:
		m.err = l.end()
	case <-l.ended:
		m.err = fmt.Errorf("the second operator has ended by itself: %w", l.err)
	}
}

// Settle has nothing to do: who is dead does not come back.
func (*mortal) Settle(context.Context) error { return nil }

// Aimed is the wire that the fault was on.
func (m *mortal) Aimed() *wire { return m.first }

// Stop ends whichever manager runs.
func (m *mortal) Stop(context.Context) error {
	close(m.stop)
	<-m.ended
	return m.err
}

// Log is the end of what the managers have said.
func (m *mortal) Log() string { return m.log.last(logLines) }

// logLines are shown of an operator's log where a scenario has gone wrong.
const logLines = 80

// pair is two operators that both believe that they lead. The first stands still
// at the write that is aimed at; then the second comes, and acts.
type pair struct {
	world *story.World
	first *wire
	other *wire
	// early: the first goes on in the midst of what the second does, not after it.
	early bool
	log   journal

	stop  chan struct{}
	ended chan struct{}
	err   error
}

func newPair(w *story.World, a aim, early bool) *pair {
	return &pair{
		world: w, first: newWire(w, a), other: newWire(w, aim{}), early: early,
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
}

// Start starts the first operator.
func (p *pair) Start(ctx context.Context) error {
	l, err := begin(ctx, p.world, "first", p.first, &p.log)
	if err != nil {
		return err
	}
	go p.tend(ctx, l)
	return nil
}

func (p *pair) tend(ctx context.Context, first *life) {
	defer close(p.ended)
	defer func() { p.err = errors.Join(p.err, first.end()) }()
	defer p.first.resume()
	select {
	case <-p.stop:
		return
	case <-first.ended:
		p.err = errors.New("the operator has ended by itself")
		return
	case <-p.first.hit:
	}
	other, err := begin(ctx, p.world, "second", p.other, &p.log)
	if err != nil {
		p.err = err
		return
	}
	defer func() { p.err = errors.Join(p.err, other.end()) }()
	if p.early {
		p.awaitOther()
		p.first.resume()
	}
	<-p.stop
}

// awaitOther waits until the second operator has made a write of its own; where it
// finds nothing to do, until the scenario ends.
func (p *pair) awaitOther() {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for len(p.other.seen()) == 0 {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
		}
	}
}

// Settle lets the first operator go on, now that the second has done all that was to do.
func (p *pair) Settle(context.Context) error {
	p.first.resume()
	return nil
}

// Aimed is the wire of the operator that stood still.
func (p *pair) Aimed() *wire { return p.first }

// Stop ends both.
func (p *pair) Stop(context.Context) error {
	close(p.stop)
	<-p.ended
	return p.err
}

// Log is the end of what both have said.
func (p *pair) Log() string { return p.log.last(logLines) }

// counted are the kinds of a list of writes, sorted.
func counted(writes []write) []string {
	var kinds []string
	for _, w := range writes {
		kinds = append(kinds, inWords(w.kind, w.refused))
	}
	slices.Sort(kinds)
	return kinds
}
