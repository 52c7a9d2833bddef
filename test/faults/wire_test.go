// The operator's connection to the API server, which counts its writes and can be
// cut or held at any of them.

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// write names one mutating request of the operator: the n-th of its kind, of those
// that the API server did not refuse for a conflict. The order of writes of different
// kinds may differ from run to run, because two controllers make them, and whether
// a write meets a conflict and is made again is chance; the n-th of one kind is always
// the same step of a scenario.
type write struct {
	// kind is verb and resource, such as "patch streams/status".
	kind string
	nth  int
	// refused for a conflict: it changed nothing and is no step of its own.
	refused bool
}

// String is the write in the words of the table.
func (w write) String() string {
	if w.refused {
		return inWords(w.kind, true)
	}
	return fmt.Sprintf("%s #%d", w.kind, w.nth)
}

// mode is what happens at the write that is aimed at.
type mode string

const (
	// dropped: the request never reaches the API server, and the operator dies.
	dropped mode = "request dropped"
	// replyLost: the request is carried out, and the operator dies before it knows.
	replyLost mode = "reply lost"
	// held: the operator stands still between its look and its write, and goes on when it is told.
	held mode = "held"
)

// aim is a write and what happens at it.
type aim struct {
	write write
	mode  mode
}

// errCut is what a dead operator gets to hear.
var errCut = errors.New("the connection is cut")

// wire is one operator's connection from its start to its end.
type wire struct {
	// namespace and class are the scenario's own; writes about others do not count.
	namespace, class string
	aim              aim
	// hit is closed when what was aimed at has been done.
	hit chan struct{}
	// open is closed while the operator may go on.
	open chan struct{}

	mu  sync.Mutex
	cut bool
	// target is the write that was aimed at, once it has come; a second attempt at it
	// is let pass.
	target *write
	writes []*write
	// failure: a request that was to be carried out has not been.
	failure error
}

// newWire is a wire that counts; an empty aim leaves it at that.
func newWire(w *story.World, a aim) *wire {
	open := make(chan struct{})
	close(open)
	return &wire{namespace: w.Namespace, class: w.Class, aim: a, hit: make(chan struct{}), open: open}
}

// seen are the writes so far.
func (w *wire) seen() []write {
	w.mu.Lock()
	defer w.mu.Unlock()
	var writes []write
	for _, one := range w.writes {
		writes = append(writes, *one)
	}
	return writes
}

// wasHit tells whether what was aimed at has been done to the write, and whether the
// API server refused it for a conflict. One that was to be carried out and met a
// conflict has not been carried out, so it was not hit.
func (w *wire) wasHit() (hit, refused bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.hit:
		refused = w.target.refused
		return w.aim.mode != replyLost || !refused, refused, w.failure
	default:
		return false, false, w.failure
	}
}

// resume lets an operator go on that stands still.
func (w *wire) resume() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.open:
	default:
		close(w.open)
	}
}

// pass waits while the operator stands still, and is an error once it is dead.
func (w *wire) pass(ctx context.Context) error {
	w.mu.Lock()
	open, cut := w.open, w.cut
	w.mu.Unlock()
	if cut {
		return errCut
	}
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// admit counts a request, and tells whether it is the one that is aimed at. What is
// no write of the scenario's is nil.
func (w *wire) admit(q *http.Request) (one *write, aimed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return nil, false, errCut
	}
	kind, counts := w.kindOf(q)
	if !counts {
		return nil, false, nil
	}
	one = &write{kind: kind, nth: 1}
	for _, other := range w.writes {
		if other.kind == kind && !other.refused {
			one.nth++
		}
	}
	w.writes = append(w.writes, one)
	if *one != w.aim.write || w.target != nil {
		return one, false, nil
	}
	w.target = one
	if w.aim.mode == held {
		w.open = make(chan struct{})
	} else {
		w.cut = true
	}
	return one, true, nil
}

// answered notes how the API server took a write.
func (w *wire) answered(one *write, response *http.Response) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one != nil {
		one.refused = response.StatusCode == http.StatusConflict
	}
}

// verbs of mutating requests.
var verbs = map[string]string{
	http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// kindOf says what a request writes, in the audit log's words.
func (w *wire) kindOf(q *http.Request) (kind string, counts bool) {
	verb, writes := verbs[q.Method]
	if !writes {
		return "", false
	}
	r := law.Request{Verb: verb, Object: objectOf(q.URL.Path)}
	return kindOf(r), w.concerns(r.Object)
}

// objectOf reads a path of the API: /api/v1/… or /apis/GROUP/VERSION/…
func objectOf(path string) law.ObjectRef {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	parts = parts[min(len(parts), map[string]int{"api": 2, "apis": 3}[parts[0]]):]
	o := law.ObjectRef{}
	if len(parts) > 2 && parts[0] == "namespaces" {
		o.Namespace, parts = parts[1], parts[2:]
	}
	for i, field := range []*string{&o.Resource, &o.Name, &o.Subresource} {
		if i < len(parts) {
			*field = parts[i]
		}
	}
	return o
}

func kindOf(r law.Request) string {
	if r.Object.Subresource == "" {
		return r.Verb + " " + r.Object.Resource
	}
	return r.Verb + " " + r.Object.Resource + "/" + r.Object.Subresource
}

// concerns tells whether an object is the scenario's own. What is told in events is
// no memory of the operator's.
func (w *wire) concerns(o law.ObjectRef) bool {
	switch o.Resource {
	case "events", "leases":
		return false
	case "streamclasses":
		return o.Name == w.class
	default:
		return o.Namespace == w.namespace
	}
}

// over lays the wire over a transport.
func (w *wire) over(next http.RoundTripper) http.RoundTripper { return &end{wire: w, next: next} }

// end is the operator's end of the wire.
type end struct {
	*wire
	next http.RoundTripper
}

// RoundTrip carries a request, unless the operator is dead or stands still.
func (e *end) RoundTrip(q *http.Request) (*http.Response, error) {
	if err := e.pass(q.Context()); err != nil {
		return nil, refuse(q, err)
	}
	one, aimed, err := e.admit(q)
	switch {
	case err != nil:
		return nil, refuse(q, err)
	case aimed && e.aim.mode == dropped:
		close(e.hit)
		return nil, refuse(q, errCut)
	case aimed && e.aim.mode == replyLost:
		e.carryOut(one, q)
		return nil, errCut
	case aimed:
		e.hold()
		// What had left the process before it stood still arrives, however old it is.
		q = q.Clone(context.WithoutCancel(q.Context()))
	}
	response, err := e.next.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	e.answered(one, response)
	response.Body = &ear{ReadCloser: response.Body, wire: e.wire, ctx: q.Context}
	if err := e.pass(q.Context()); err != nil {
		return nil, errors.Join(err, response.Body.Close())
	}
	return response, nil
}

// hold waits until the operator is told to go on.
func (e *end) hold() {
	e.mu.Lock()
	open := e.open
	e.mu.Unlock()
	close(e.hit)
	<-open
}

// carryOut has the API server answer a request that nobody waits for any more.
func (e *end) carryOut(one *write, q *http.Request) {
	defer close(e.hit)
	response, err := e.next.RoundTrip(q.Clone(context.WithoutCancel(q.Context())))
	if err == nil {
		e.answered(one, response)
		_, err = io.Copy(io.Discard, response.Body)
		err = errors.Join(err, response.Body.Close())
	}
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.failure = fmt.Errorf("carry out %s: %w", e.aim.write, err)
	}
}

// refuse ends a request as a transport must: with its body closed.
func refuse(q *http.Request, err error) error {
	if q.Body != nil {
		err = errors.Join(err, q.Body.Close())
	}
	return err
}

// ear hears an answer, such as the events of a watch, for as long as the operator
// lives and does not stand still.
type ear struct {
	io.ReadCloser
	wire *wire
	ctx  func() context.Context
}

// Read hears what has come, unless there is nobody any more to hear it.
func (e *ear) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	if stopped := e.wire.pass(e.ctx()); stopped != nil {
		return 0, stopped
	}
	return n, err
}
