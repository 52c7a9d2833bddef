package backfill

// This file tests the slots of classes: whose turn it is, and that never more than allowed are given.

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

func container() corev1.Container { return corev1.Container{Name: "main", Image: "image"} }

// named makes another stream of orders.
func named(name string) func(*v1.Stream) {
	return func(s *v1.Stream) { s.Name, s.UID = name, types.UID("uid-"+name) }
}

// of makes a request for that stream.
func of(name string) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) {
		q.Spec.StreamID = name
		ownedBy(types.UID("uid-" + name))(q)
	}
}

func TestCandidates(t *testing.T) {
	a, b := stream(named("a")), stream(named("b"))
	old := aged(2 * time.Hour)
	for name, c := range map[string]struct {
		most     int32
		streams  []*v1.Stream
		requests []*v1.BackfillRequest
		want     string
	}{
		"oldest first":                   {2, []*v1.Stream{a, b}, []*v1.BackfillRequest{request("1", of("a")), request("2", of("b"), old)}, "2 1"},
		"then by name":                   {2, []*v1.Stream{a, b}, []*v1.BackfillRequest{request("2", of("a")), request("1", of("b"))}, "1 2"},
		"all of a stream":                {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("2", of("a")), request("1", of("a"))}, "1 2"},
		"full by a grant":                {1, []*v1.Stream{a, b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestGranted)), request("2", of("b"))}, ""},
		"full by a run":                  {1, []*v1.Stream{a, b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestRunning)), request("2", of("b"))}, ""},
		"full by a job on its way out":   {1, []*v1.Stream{stream(named("a"), serving("gone")), b}, []*v1.BackfillRequest{request("2", of("b"))}, ""},
		"the first after one that ended": {1, []*v1.Stream{stream(named("a"), serving("gone"), initialIs("1"))}, []*v1.BackfillRequest{request("1", of("a"), ours), request("2", of("a"))}, "1!"},
		"the first after one that runs":  {1, []*v1.Stream{stream(named("a"), serving("2"), initialIs("1"))}, []*v1.BackfillRequest{request("1", of("a"), ours), request("2", of("a"), in(v1.RequestRunning))}, ""},
		"behind the first":               {1, []*v1.Stream{stream(named("a"), initialIs("1"))}, []*v1.BackfillRequest{request("1", of("a")), request("2", of("a"))}, "1"},
		"behind a gap's":                 {1, []*v1.Stream{stream(named("a"), gapIs("1"))}, []*v1.BackfillRequest{request("1", of("a"), old, forGap), request("2", of("a"))}, "1"},
		"before the first":               {1, []*v1.Stream{stream(named("a"), initialIs("2"))}, []*v1.BackfillRequest{request("1", of("a")), request("2", of("a"))}, "1 2"},
		"behind a first that has ended":  {1, []*v1.Stream{stream(named("a"), initialIs("1"))}, []*v1.BackfillRequest{request("1", of("a"), completed), request("2", of("a"))}, "2"},
		"its success is recorded":        {1, []*v1.Stream{stream(named("a"), serving("1"), recordedSuccess)}, []*v1.BackfillRequest{request("1", of("a"), completed), request("2", of("a"))}, "2"},
		"a cancelled one runs out":       {1, []*v1.Stream{stream(named("a"), serving("1")), b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestRunning), completed), request("2", of("b"))}, ""},
		"a completed one is carried out": {1, []*v1.Stream{stream(named("a"), streaming), b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestRunning), completed), request("2", of("b"))}, "2"},
		"the limit was lowered":          {1, []*v1.Stream{a, b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestRunning)), request("2", of("b"), in(v1.RequestGranted)), request("3", of("b"))}, ""},
		"one is left":                    {2, []*v1.Stream{a, b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestRunning)), request("2", of("b")), request("3", of("a"))}, "2"},
		"failed gives its slot back":     {1, []*v1.Stream{stream(named("a"), failed), b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestFailed)), request("2", of("b"))}, "2"},
		"paused gives its slot back":     {1, []*v1.Stream{stream(named("a"), suspended), b}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestPaused)), request("2", of("b"))}, "2"},
		"resumed":                        {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestPaused))}, "1"},
		"not accepted":                   {1, []*v1.Stream{stream(named("a"), refused)}, []*v1.BackfillRequest{request("1", of("a"))}, ""},
		"not yet looked at":              {1, []*v1.Stream{stream(named("a"), func(s *v1.Stream) { s.Status.Conditions = nil })}, []*v1.BackfillRequest{request("1", of("a"))}, ""},
		"on its way out":                 {1, []*v1.Stream{stream(named("a"), deleting)}, []*v1.BackfillRequest{request("1", of("a"))}, ""},
		"for another class":              {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("a"), ofClass("d"))}, ""},
		"for a stream of another":        {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("x"))}, ""},
		"of a former stream":             {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("a"), ownedBy("uid-former"))}, ""},
		"a gap's, not recorded yet":      {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("a"), forGap)}, ""},
		"a gap's, recorded":              {1, []*v1.Stream{stream(named("a"), gapIs("1"))}, []*v1.BackfillRequest{request("1", of("a"), forGap)}, "1"},
		"a copy of one of ours":          {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("a"), copied)}, "1"},
		"unknown to its stream":          {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("a"), ours)}, ""},
		"ended":                          {1, []*v1.Stream{a}, []*v1.BackfillRequest{request("1", of("a"), completed), request("2", of("a"), endedAt(v1.RequestCancelled, 0))}, ""},
		"claimed without a limit":        {1, []*v1.Stream{stream(named("a"), serving("1"))}, []*v1.BackfillRequest{request("1", of("a")), request("2", of("a"))}, "1!"},
		"claimed, not accepted":          {1, []*v1.Stream{stream(named("a"), serving("1"), refused)}, []*v1.BackfillRequest{request("1", of("a")), request("2", of("a"))}, "1!"},
		"claimed, suspended":             {1, []*v1.Stream{stream(named("a"), serving("1"), suspended)}, []*v1.BackfillRequest{request("1", of("a"))}, ""},
		"claimed, the grant is lost":     {1, []*v1.Stream{stream(named("a"), serving("1"))}, []*v1.BackfillRequest{request("1", of("a"), in(v1.RequestQueued)), request("2", of("a"))}, "1!"},
	} {
		t.Run(name, func(t *testing.T) {
			q := &queue{now: now, class: class(c.most), streams: map[types.NamespacedName]*v1.Stream{}, requests: list(c.requests...)}
			for _, s := range c.streams {
				q.streams[keyOf(s)] = s
			}
			var got []string
			for _, found := range q.candidates() {
				mark := ""
				if found.claimed {
					mark = "!"
				}
				got = append(got, strings.TrimPrefix(string(found.request.UID), "uid-")+mark)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %v, want %q", got, c.want)
			}
		})
	}
}

// TestGrantIsGivenBack: a request whose job is claimed already holds a slot, whatever its status says.
func TestGrantIsGivenBack(t *testing.T) {
	c := newCluster(t, class(1), stream(serving("a")), request("a", in(v1.RequestQueued)))
	c.settle()
	if got, want := c.ending(), "a=Granted/Granted owned"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestBehindTheFirst: nothing of a stream runs before the request that must come first. Whatever that one waits for,
// a slot that a later one held would be of no use to anybody.
func TestBehindTheFirst(t *testing.T) {
	names := func(q *v1.BackfillRequest) { q.Spec.JobTemplateRef = &v1.TemplateReference{Name: "big"} }
	for name, behind := range map[string]func(*v1.BackfillRequest){
		"it gets none":            func(*v1.BackfillRequest) {},
		"it gives its grant back": in(v1.RequestGranted),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, class(1), stream(initialIs("a")), stream(named("other")), request("a", names, ownedBy("uid-orders")), request("b", behind), request("c", of("other")))
			c.settle()
			if got, want := c.ending(), "a=Queued/TemplateNotFound owned, b=Queued/WaitingForTurn owned, c=Granted/Granted owned"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestNoLimitNoGrant(t *testing.T) {
	c := newCluster(t, class(0), stream(), request("a"))
	c.settle()
	if got := c.ending(); strings.Contains(got, "Granted") || c.looks > 0 {
		t.Errorf("%s, %d looks", got, c.looks)
	}
}

// TestOneToAStream: the slots of a class are for its streams, however many requests one of them has.
func TestOneToAStream(t *testing.T) {
	c := newCluster(t, class(2), stream(), request("a"), request("b"))
	c.settle()
	if got, want := c.ending(), "a=Granted/Granted owned, b=Queued/WaitingForTurn owned"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestProblemOf: what any request of the stream would meet is not this request's fault.
func TestProblemOf(t *testing.T) {
	payload := func(q *v1.BackfillRequest) { q.Spec.Payload = &runtime.RawExtension{Raw: []byte(`{}`)} }
	large := func(q *v1.BackfillRequest) {
		q.Spec.Payload = &runtime.RawExtension{Raw: []byte(`{"x":"` + strings.Repeat("x", definition.MaxSpecBytes) + `"}`)}
	}
	elsewhere := func(q *v1.BackfillRequest) {
		q.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "kube-system", Name: "root"}
	}
	empty := template("mine")
	empty.Spec.Spec.Template.Spec.Containers = nil
	for name, c := range map[string]struct {
		templates []client.Object
		request   *v1.BackfillRequest
		want      v1.Reason
	}{
		"nothing of its own":                     {nil, request("a"), ""},
		"the stream's template is missing":       {nil, request("a", payload), ""},
		"a payload":                              {[]client.Object{template("std")}, request("a", payload), ""},
		"a payload that is too large":            {[]client.Object{template("std")}, request("a", large), v1.ReasonSpecInvalid},
		"its template is missing":                {[]client.Object{template("std")}, request("a", naming), v1.ReasonTemplateNotFound},
		"its template is there":                  {[]client.Object{template("mine")}, request("a", naming), ""},
		"its template cannot be used":            {[]client.Object{empty}, request("a", naming), v1.ReasonTemplateInvalid},
		"its template is in a foreign namespace": {nil, request("a", elsewhere), v1.ReasonTemplateForbidden},
		"the stream itself is not accepted":      {nil, request("a", naming, func(q *v1.BackfillRequest) { q.Spec.StreamID = "wrong" }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			of := class(0)
			if c.request.Spec.StreamID == "wrong" {
				of.Spec.PluralName = "wrong"
			}
			p, err := problemOf(t.Context(), newCluster(t, c.templates...).api, stream(), of, nil, c.request)
			if err != nil {
				t.Fatal(err)
			}
			got := v1.Reason("")
			if p != nil {
				got = p.Reason
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestNeverMoreThanAllowed plays a class to its end: nine streams, three requests
// each, two slots. The streams carry out what they are granted, one step at a time.
func TestNeverMoreThanAllowed(t *testing.T) {
	const streams, each, most = 9, 3, 2
	objects := []client.Object{class(most)}
	for s := range streams {
		name := fmt.Sprintf("s%d", s)
		objects = append(objects, stream(named(name)))
		for r := range each {
			objects = append(objects, request(fmt.Sprintf("r%d-%d", r, s), of(name), aged(time.Hour-time.Duration(r)*time.Minute)))
		}
	}
	c := newCluster(t, objects...)
	var order []string
	for range streams*each*3 + 1 {
		c.settle()
		var granted, running []string
		held := map[string]bool{}
		for _, q := range c.requests() {
			if holds(q.Status.Phase) && held[q.Spec.StreamID] {
				t.Fatalf("two of stream %s at once", q.Spec.StreamID)
			}
			switch q.Status.Phase {
			case v1.RequestGranted:
				granted = append(granted, q.Name)
			case v1.RequestRunning:
				running = append(running, q.Name)
			default:
				continue
			}
			held[q.Spec.StreamID] = true
		}
		if len(held) > most {
			t.Fatalf("granted %v while %v run", granted, running)
		}
		switch {
		case len(granted) > 0:
			sort.Strings(granted)
			for _, name := range granted {
				order = append(order, name)
				c.edit(name, in(v1.RequestRunning))
				c.editStream(c.request(name).Spec.StreamID, serving(name))
			}
		case len(running) > 0:
			sort.Strings(running)
			c.edit(running[0], completed, annotated(v1.AnnotationCompletedBy, "job"), endedAt(v1.RequestCompleted, 0))
			c.editStream(c.request(running[0]).Spec.StreamID, streaming)
		}
	}
	var want []string
	for r := range each {
		for s := range streams {
			want = append(want, fmt.Sprintf("r%d-%d", r, s))
		}
	}
	if !slices.Equal(order, want) {
		t.Errorf("served in the order\n%v, want\n%v", order, want)
	}
}

// TestStaleCacheGrantsNothing: after a restart the cache may not know what the
// process before this one granted. The API server does.
func TestStaleCacheGrantsNothing(t *testing.T) {
	c := newCluster(t, class(1), stream(named("a")), stream(named("b")),
		request("1", of("a"), told(v1.ReasonWaitingForSlot, "")), request("2", of("b"), told(v1.ReasonWaitingForSlot, "")))
	before := map[types.UID]v1.BackfillRequest{}
	for _, q := range c.requests() {
		before[q.UID] = q
	}
	c.edit("2", in(v1.RequestGranted))
	c.stale = func(list *v1.BackfillRequestList) {
		for i := range list.Items {
			list.Items[i] = before[list.Items[i].UID]
		}
	}
	for range 3 {
		if _, err := c.slots.Reconcile(t.Context(), requestOf(class(1))); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.writes) > 0 || c.slots.caughtUp["c"] || c.looks != 6 {
		t.Errorf("writes %v, caught up %v, looks %d", c.writes, c.slots.caughtUp["c"], c.looks)
	}
	// The cache catches up, the slot comes free.
	c.stale = nil
	c.edit("2", completed, in(v1.RequestCompleted))
	for range 3 {
		if _, err := c.slots.Reconcile(t.Context(), requestOf(class(1))); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.request("1").Status.Phase; got != v1.RequestGranted || !c.slots.caughtUp["c"] || c.looks != 8 {
		t.Errorf("phase %s, caught up %v, looks %d", got, c.slots.caughtUp["c"], c.looks)
	}
}

// TestQuietWhenFull: no look at the API server while there is nothing to give.
func TestQuietWhenFull(t *testing.T) {
	c := newCluster(t, class(1), stream(named("a"), serving("1")), stream(named("b")), request("1", of("a"), in(v1.RequestRunning)), request("2", of("b")))
	c.settle()
	c.looks = 0
	c.writes = nil
	c.settle()
	if c.looks != 0 || len(c.writes) > 0 {
		t.Errorf("%d looks, writes %v", c.looks, c.writes)
	}
}

// claimedAndCancelled are two streams of a class with one slot. The request of the
// first has the slot; in the middle of a pass that stream claims its job, and then
// its user cancels the request: the job may still be released.
func claimedAndCancelled(t *testing.T) (c *cluster, meanwhile func()) {
	t.Helper()
	c = newCluster(t, class(1), stream(named("a")), stream(named("b")),
		request("1", of("a"), in(v1.RequestGranted)), request("2", of("b"), told(v1.ReasonWaitingForSlot, "")))
	done := false
	return c, func() {
		if !done {
			done = true
			c.editStream("a", serving("1"))
			c.edit("1", completed)
		}
	}
}

// TestClaimedBetweenTheReads: a claim comes before the stream's last look at its
// request. So whoever reads the requests first, and sees this one ended, sees the claim.
func TestClaimedBetweenTheReads(t *testing.T) {
	c, meanwhile := claimedAndCancelled(t)
	c.slots.caughtUp = map[string]bool{"c": true}
	c.listed = func(client.ObjectList) { meanwhile() }
	if _, err := c.slots.Reconcile(t.Context(), requestOf(class(1))); err != nil || len(c.writes) > 0 {
		t.Errorf("%v, granted: %v", err, c.writes)
	}
}

// TestClaimedBeforeTheLook: what the cache said of the streams is older than the look.
func TestClaimedBeforeTheLook(t *testing.T) {
	c, meanwhile := claimedAndCancelled(t)
	before := c.request("1")
	in(v1.RequestQueued)(before)
	c.stale = func(list *v1.BackfillRequestList) {
		for i := range list.Items {
			if list.Items[i].Name == "1" {
				list.Items[i] = *before
			}
		}
	}
	c.looking = meanwhile
	if _, err := c.slots.Reconcile(t.Context(), requestOf(class(1))); err != nil || len(c.writes) > 0 || c.looks == 0 {
		t.Errorf("%v, granted: %v, %d looks", err, c.writes, c.looks)
	}
}

// TestClaimOfAFormerLeader: after a restart the cache may not know that a backfill
// runs whose request was cancelled. It runs until it is stopped.
func TestClaimOfAFormerLeader(t *testing.T) {
	c, meanwhile := claimedAndCancelled(t)
	meanwhile()
	c.listed = func(list client.ObjectList) {
		if streams, ok := list.(*v1.StreamList); ok {
			for i := range streams.Items {
				streams.Items[i].Status.Job, streams.Items[i].ResourceVersion = nil, "1"
			}
		}
	}
	for range 2 {
		if _, err := c.slots.Reconcile(t.Context(), requestOf(class(1))); err != nil || len(c.writes) > 0 || c.slots.caughtUp["c"] {
			t.Errorf("%v, granted: %v, caught up: %v", err, c.writes, c.slots.caughtUp)
		}
	}
	c.listed = nil
	c.editStream("a", streaming)
	if _, err := c.slots.Reconcile(t.Context(), requestOf(class(1))); err != nil || len(c.writes) != 1 || !c.slots.caughtUp["c"] {
		t.Errorf("%v, granted: %v, caught up: %v", err, c.writes, c.slots.caughtUp)
	}
}
