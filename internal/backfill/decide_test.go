package backfill

// This file tests the decision about one request: whole values.

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

var now = time.Date(2025, 11, 23, 22, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// request is one for stream orders, made an hour ago, already owned by it.
func request(name string, edits ...func(*v1.BackfillRequest)) *v1.BackfillRequest {
	q := &v1.BackfillRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "sales", Name: name, UID: types.UID("uid-" + name), Generation: 1, CreationTimestamp: ago(time.Hour),
			Annotations: map[string]string{v1.AnnotationAdmitted: "true"},
		},
		Spec: v1.BackfillRequestSpec{StreamID: "orders"},
	}
	ownedBy("uid-orders")(q)
	for _, edit := range edits {
		edit(q)
	}
	return q
}

func ownedBy(uid types.UID) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) {
		q.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1.GroupVersion.String(), Kind: v1.KindStream, Name: q.Spec.StreamID, UID: uid}}
	}
}

func unowned(q *v1.BackfillRequest)   { q.OwnerReferences = nil }
func completed(q *v1.BackfillRequest) { q.Spec.Completed = true }

func annotated(key, value string) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) { q.Annotations[key] = value }
}

func aged(d time.Duration) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) { q.CreationTimestamp = ago(d) }
}

func in(phase v1.RequestPhase) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) { q.Status.Phase, q.Status.ObservedGeneration = phase, q.Generation }
}

func endedAt(phase v1.RequestPhase, d time.Duration) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) {
		in(phase)(q)
		end := ago(d)
		q.Status.CompletionTime = &end
	}
}

func ofClass(class string) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) { q.Spec.StreamClass = class }
}

func ttl(seconds int32) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) { q.Spec.TTLSecondsAfterFinished = &seconds }
}

func forGap(q *v1.BackfillRequest) { made(q, v1.RequestGap) }

// made is a request of the operator's own: its stream controls it, and its name is the
// one that the operator derives. Its UID still is that of the name that the test gave it.
func made(q *v1.BackfillRequest, reason string) {
	forged(q, reason)
	by := metav1.GetControllerOf(q)
	if reason == v1.RequestInitial {
		q.Name = backlog.InitialName(by.Name, by.UID)
		return
	}
	q.Name = backlog.GapName(by.Name, 100+int64(q.Name[0]))
}

// forged is a user's own request with annotation and owner of one of the operator's: both
// can be copied, only the name cannot.
func forged(q *v1.BackfillRequest, reason string) {
	q.Annotations[v1.AnnotationMadeBy] = reason
	for i := range q.OwnerReferences {
		q.OwnerReferences[i].Controller = ptr.To(true)
	}
}

// initialIs records the request of the initial backfill.
func initialIs(request string) func(*v1.Stream) {
	return func(s *v1.Stream) {
		s.Status.InitialBackfill, s.Status.InitialRequestUID = v1.InitialRequested, types.UID("uid-"+request)
	}
}

// gapIs records the request of a gap.
func gapIs(request string) func(*v1.Stream) {
	return func(s *v1.Stream) { s.Status.GapRequestUID = types.UID("uid-" + request) }
}
func ours(q *v1.BackfillRequest) { made(q, v1.RequestInitial) }

// copied is a user's own, made from the manifest of one of ours.
func copied(q *v1.BackfillRequest) { forged(q, v1.RequestInitial) }

// told is what was written about a wait before.
func told(reason v1.Reason, message string) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) {
		backlog.SetPhase(&q.Status, v1.RequestQueued, reason, message, 1, metav1.NewTime(now.Add(-time.Minute)))
	}
}

// stream is orders, of class c, accepted.
func stream(edits ...func(*v1.Stream)) *v1.Stream {
	s := &v1.Stream{
		ObjectMeta: metav1.ObjectMeta{Namespace: "sales", Name: "orders", UID: "uid-orders", Generation: 1},
		Spec:       v1.StreamSpec{StreamClass: "c"},
	}
	s.Status.InitialBackfill = v1.InitialWaived
	s.Status.Conditions = []metav1.Condition{{Type: v1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: "Accepted", LastTransitionTime: ago(time.Hour)}}
	for _, edit := range edits {
		edit(s)
	}
	return s
}

func suspended(s *v1.Stream) { s.Spec.Suspended = true }
func failed(s *v1.Stream)    { s.Status.Failure = &v1.Failure{Reason: "BackoffLimitExceeded"} }
func refused(s *v1.Stream)   { s.Status.Conditions[0].Status = metav1.ConditionFalse }
func deleting(s *v1.Stream)  { s.DeletionTimestamp = ptr.To(ago(0)) }

func serving(name string) func(*v1.Stream) {
	return func(s *v1.Stream) {
		s.Status.Job = &v1.JobRecord{Name: "job", UID: "job", Mode: v1.ModeBackfill, Request: name, RequestUID: types.UID("uid-" + name)}
	}
}

// recordedSuccess is a backfill's job that has ended well; its record stays until the next start.
func recordedSuccess(s *v1.Stream) { s.Status.Job.Outcome = v1.OutcomeSucceeded }

func streaming(s *v1.Stream) {
	s.Status.Job = &v1.JobRecord{Name: "job", UID: "job", Mode: v1.ModeStream}
}

func class(most int32) *v1.StreamClass {
	c := &v1.StreamClass{ObjectMeta: metav1.ObjectMeta{Name: "c"}}
	c.Spec = v1.StreamClassSpec{KindRef: "Stream", APIVersion: "v1", PluralName: "streams", JobTemplateRef: &v1.TemplateReference{Name: "std"}}
	if most > 0 {
		c.Spec.Backfill = &v1.ClassBackfill{MaxConcurrent: &most}
	}
	return c
}

// status is one that decide has computed now.
func status(phase v1.RequestPhase, reason v1.Reason, message string) v1.BackfillRequestStatus {
	s := v1.BackfillRequestStatus{}
	backlog.SetPhase(&s, phase, reason, message, 1, metav1.NewTime(now))
	return s
}

func list(requests ...*v1.BackfillRequest) []v1.BackfillRequest {
	var values []v1.BackfillRequest
	for _, q := range requests {
		values = append(values, *q)
	}
	return values
}

func TestWhatARequestWaitsFor(t *testing.T) {
	tell := func(reason v1.Reason, message string) decision {
		return decision{does: tell, status: status(v1.RequestQueued, reason, message)}
	}
	next := tell(v1.ReasonWaitingForJob, "It is next; it starts as soon as the stream's former job and its pods are gone.")
	turn := tell(v1.ReasonWaitingForTurn, "Another backfill of the stream comes first.")
	slot := tell(v1.ReasonWaitingForSlot, "StreamClass c allows 2 at once; the request waits for its turn among all of the class.")
	pause := tell(v1.ReasonStreamSuspended, "The stream is suspended; the backfill runs when it is resumed.")
	absent := tell(v1.ReasonStreamNotFound, "There is no Stream orders in namespace sales; the request waits until there is.")
	for name, c := range map[string]struct {
		world world
		want  decision
	}{
		"stream missing":                     {world{request: request("a", unowned)}, absent},
		"stream missing, a moment old":       {world{request: request("a", unowned, aged(300*time.Millisecond))}, decision{wake: 1700 * time.Millisecond}},
		"stream missing, its owner was one":  {world{request: request("a")}, decision{}},
		"stream gone before it was owned":    {world{request: request("a", unowned, in(v1.RequestRunning))}, absent},
		"stream gone after it had failed":    {world{request: request("a", unowned, in(v1.RequestFailed))}, absent},
		"stream runs it":                     {world{request: request("a", in(v1.RequestRunning)), stream: stream()}, decision{}},
		"stream on its way out":              {world{request: request("a"), stream: stream(deleting)}, decision{}},
		"stream made anew under its name":    {world{request: request("a", ownedBy("uid-former")), stream: stream()}, decision{}},
		"stream found":                       {world{request: request("a", unowned), stream: stream()}, decision{does: own}},
		"stream found, of another class":     {world{request: request("a", unowned, ofClass("d")), stream: stream()}, tell(v1.ReasonClassMismatch, "spec.streamClass: Stream orders is of StreamClass c, not d; correct it, or delete the request.")},
		"stream suspended":                   {world{request: request("a"), stream: stream(suspended)}, pause},
		"stream suspended, told so":          {world{request: request("a", told(v1.ReasonStreamSuspended, pause.status.Message)), stream: stream(suspended)}, decision{}},
		"stream suspended, request young":    {world{request: request("a", aged(0)), stream: stream(suspended)}, pause},
		"stream suspended, request begun":    {world{request: request("a", in(v1.RequestPaused)), stream: stream(suspended)}, decision{}},
		"stream failed":                      {world{request: request("a"), stream: stream(failed)}, tell(v1.ReasonStreamFailed, "The stream has failed; suspend it and resume it, and this backfill runs first.")},
		"stream failed and suspended":        {world{request: request("a"), stream: stream(failed, suspended)}, pause},
		"stream not accepted":                {world{request: request("a"), stream: stream(refused)}, tell(v1.ReasonStreamNotReady, "The stream's definition is not accepted; its condition Accepted says why.")},
		"its own template wrong":             {world{request: request("a"), stream: stream(), problem: &definition.Problem{Reason: v1.ReasonTemplateNotFound, Message: "no template"}}, tell(v1.ReasonTemplateNotFound, "no template")},
		"granted, then its template is gone": {world{request: request("a", in(v1.RequestGranted)), stream: stream(), problem: &definition.Problem{Reason: v1.ReasonTemplateNotFound, Message: "no template"}}, tell(v1.ReasonTemplateNotFound, "no template")},
		"next":                               {world{request: request("a"), stream: stream(streaming)}, next},
		"next, told so":                      {world{request: request("a", told(v1.ReasonWaitingForJob, next.status.Message)), stream: stream()}, decision{}},
		"next, a moment old":                 {world{request: request("a", aged(0)), stream: stream()}, decision{wake: 2 * time.Second}},
		"next, the older one has ended":      {world{request: request("b"), stream: stream(), requests: list(request("a", completed), request("c"))}, next},
		"next, the older one is a stranger":  {world{request: request("b"), stream: stream(), requests: list(request("a", ofClass("d")), request("a2", ownedBy("uid-former")))}, next},
		"next, the older one is unknown":     {world{request: request("b"), stream: stream(), requests: list(request("a", ours))}, next},
		"another one is older":               {world{request: request("a"), stream: stream(), requests: list(request("z", aged(2*time.Hour)))}, turn},
		"another one is as old and before":   {world{request: request("b"), stream: stream(), requests: list(request("a"))}, turn},
		"another one runs":                   {world{request: request("a"), stream: stream(serving("b")), requests: list(request("b", in(v1.RequestRunning)))}, turn},
		"it is being started":                {world{request: request("a"), stream: stream(serving("a"))}, decision{}},
		"it runs":                            {world{request: request("a", in(v1.RequestRunning)), stream: stream(serving("a"))}, decision{}},
		"it runs, the stream is suspended":   {world{request: request("a", in(v1.RequestRunning)), stream: stream(serving("a"), suspended)}, decision{}},
		"it failed":                          {world{request: request("a", in(v1.RequestFailed)), stream: stream(failed)}, decision{}},
		"no slot":                            {world{request: request("a"), stream: stream(), class: class(2)}, slot},
		"no slot, a moment old":              {world{request: request("a", aged(0)), stream: stream(), class: class(2)}, decision{wake: 2 * time.Second}},
		"no slot, after a pause":             {world{request: request("a", in(v1.RequestPaused)), stream: stream(), class: class(2)}, slot},
		"no limit":                           {world{request: request("a"), stream: stream(), class: class(0)}, next},
		"granted":                            {world{request: request("a", in(v1.RequestGranted)), stream: stream(), class: class(2)}, decision{}},
		"granted, the limit is gone":         {world{request: request("a", in(v1.RequestGranted)), stream: stream(), class: class(0)}, decision{}},
		"granted, then suspended":            {world{request: request("a", in(v1.RequestGranted)), stream: stream(suspended), class: class(2)}, pause},
		"granted and claimed, suspended":     {world{request: request("a", in(v1.RequestGranted)), stream: stream(suspended, serving("a")), class: class(2)}, decision{}},
		"granted, then the stream vanished":  {world{request: request("a", in(v1.RequestGranted), unowned)}, absent},
		"paused, then the stream has failed": {world{request: request("a", in(v1.RequestPaused)), stream: stream(failed)}, tell(v1.ReasonStreamFailed, "The stream has failed; suspend it and resume it, and this backfill runs first.")},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.world, c.want) })
	}
}

// check decides twice: what was told is not told again.
func check(t *testing.T, w world, want decision) {
	t.Helper()
	w.now = now
	before := w.request.DeepCopy()
	got := decide(&w)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(w.request, before) {
		t.Error("the request itself was changed")
	}
	if got.does == tell {
		w.request.Status = got.status
		if again := decide(&w); again.does != nothing && again.does != remove {
			t.Errorf("told, and told again: %+v", again)
		}
	}
}

func TestHowARequestEnds(t *testing.T) {
	finished := func(phase v1.RequestPhase, reason v1.Reason, message string, edits ...func(*v1.BackfillRequestStatus)) decision {
		s := status(phase, reason, message)
		end := metav1.NewTime(now)
		s.CompletionTime = &end
		for _, edit := range edits {
			edit(&s)
		}
		return decision{does: tell, status: s}
	}
	cancelled := finished(v1.RequestCancelled, v1.ReasonRequestCancelled, "Cancelled: spec.completed was set by its user.")
	unproven := finished(v1.RequestCancelled, v1.ReasonRequestCancelled,
		"Cancelled: spec.completed was set by its user. The annotation streaming.sneaksanddata.com/completed-by proves nothing: no Job of the stream is known to have completed this request.")
	former := finished(v1.RequestCompleted, v1.ReasonRequestCompleted, "It had been completed before this version of Arcane first saw it.")
	byJob := annotated(v1.AnnotationCompletedBy, "job")
	since := func(d time.Duration) *metav1.Time { t := ago(d); return &t }
	done := stream(serving("a"), recordedSuccess)
	another := func(s *v1.Stream) { s.Status.Job.UID = "another" }
	for name, c := range map[string]struct {
		world world
		want  decision
	}{
		"cancelled while it waits":            {world{request: request("a", completed), stream: stream()}, cancelled},
		"cancelled, without a stream":         {world{request: request("a", completed, unowned)}, cancelled},
		"cancelled while it runs":             {world{request: request("a", completed, unstamped, func(q *v1.BackfillRequest) { q.Status = status(v1.RequestRunning, v1.ReasonRequestRunning, "") }), stream: stream(serving("a"))}, cancelled},
		"from an earlier Arcane":              {world{request: request("a", completed, unstamped), stream: stream(), kindSince: since(time.Minute)}, former},
		"from an earlier Arcane, no stream":   {world{request: request("a", completed, unstamped, unowned), kindSince: since(time.Minute)}, former},
		"no stamp, made after the kind":       {world{request: request("a", completed, unstamped), stream: stream(), kindSince: since(2 * time.Hour)}, cancelled},
		"no stamp, made in the kind's second": {world{request: request("a", completed, unstamped), stream: stream(), kindSince: since(time.Hour)}, cancelled},
		"no stamp, the kind is unknown":       {world{request: request("a", completed, unstamped), stream: stream()}, cancelled},
		"a stamp, made before the kind":       {world{request: request("a", completed), stream: stream(), kindSince: since(time.Minute)}, cancelled},
		"the stamp removed while it waits":    {world{request: request("a", completed, unstamped, in(v1.RequestQueued)), stream: stream(), kindSince: since(time.Minute)}, cancelled},

		"completed, the stream is at it":               {world{request: request("a", completed, byJob, in(v1.RequestRunning)), stream: done}, decision{}},
		"completed, its owner is gone":                 {world{request: request("a", completed, byJob)}, decision{}},
		"completed, its stream leaves":                 {world{request: request("a", completed, byJob), stream: stream(deleting)}, decision{}},
		"signed, without a stream":                     {world{request: request("a", completed, byJob, unowned)}, unproven},
		"signed, no job is recorded":                   {world{request: request("a", completed, byJob), stream: stream()}, unproven},
		"signed, before the kind":                      {world{request: request("a", completed, unstamped, func(q *v1.BackfillRequest) { q.Annotations = map[string]string{v1.AnnotationCompletedBy: "job"} }), stream: stream(), kindSince: since(time.Minute)}, unproven},
		"signed, the stream streams":                   {world{request: request("a", completed, byJob), stream: stream(streaming)}, unproven},
		"signed, the job has not succeeded":            {world{request: request("a", completed, byJob, in(v1.RequestRunning)), stream: stream(serving("a"))}, unproven},
		"signed, another request's job":                {world{request: request("a", completed, byJob), stream: stream(serving("b"), recordedSuccess)}, unproven},
		"signed, another job's success":                {world{request: request("a", completed, byJob), stream: stream(serving("a"), recordedSuccess, another)}, unproven},
		"its success is recorded, its user came first": {world{request: request("a", completed, in(v1.RequestRunning)), stream: done}, cancelled},

		"cancelled long ago":                     {world{request: request("a", completed, endedAt(v1.RequestCancelled, time.Hour))}, decision{}},
		"completed long ago":                     {world{request: request("a", completed, endedAt(v1.RequestCompleted, time.Hour)), stream: stream()}, decision{}},
		"completed, and completed is taken back": {world{request: request("a", endedAt(v1.RequestCompleted, time.Hour)), stream: stream()}, decision{}},
		"ended, and signed by hand":              {world{request: request("a", completed, byJob, endedAt(v1.RequestCancelled, time.Hour)), stream: stream()}, decision{}},
		"its time has not come":                  {world{request: request("a", endedAt(v1.RequestCompleted, time.Minute), ttl(90))}, decision{wake: 30 * time.Second}},
		"its time has come":                      {world{request: request("a", endedAt(v1.RequestCancelled, time.Minute), ttl(60))}, decision{does: remove}},
		"its time is none":                       {world{request: request("a", endedAt(v1.RequestCompleted, 0), ttl(0))}, decision{does: remove}},
		"no time of its end":                     {world{request: request("a", in(v1.RequestCompleted), ttl(60))}, decision{does: remove}},
		"ours, two newer": {world{
			request:  request("a", forGap, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", forGap, endedAt(v1.RequestCompleted, time.Minute)), request("c", forGap, endedAt(v1.RequestCancelled, time.Minute))),
		}, decision{}},
		"ours, three newer": {world{
			request: request("a", forGap, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", forGap, endedAt(v1.RequestCompleted, time.Minute)), request("c", forGap, endedAt(v1.RequestCancelled, time.Minute)),
				request("d", forGap, endedAt(v1.RequestCompleted, time.Hour))),
		}, decision{does: remove}},
		"a copy of ours, three newer": {world{
			request: request("a", copied, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", forGap, endedAt(v1.RequestCompleted, time.Minute)), request("c", forGap, endedAt(v1.RequestCancelled, time.Minute)),
				request("d", forGap, endedAt(v1.RequestCompleted, time.Minute))),
		}, decision{}},
		"ours, three newer of users": {world{
			request: request("a", forGap, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", endedAt(v1.RequestCompleted, time.Minute)), request("c", endedAt(v1.RequestCancelled, time.Minute)),
				request("d", endedAt(v1.RequestCompleted, time.Minute)), request("e", forGap), request("f", forGap, endedAt(v1.RequestCompleted, 2*time.Hour))),
		}, decision{}},
		"a user's, three newer": {world{
			request: request("a", endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", forGap, endedAt(v1.RequestCompleted, time.Minute)), request("c", forGap, endedAt(v1.RequestCancelled, time.Minute)),
				request("d", forGap, endedAt(v1.RequestCompleted, time.Minute))),
		}, decision{}},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.world, c.want) })
	}
}

// TestAStatusFollowsTheSpec: a manifest that says completed: false is applied again
// and again. The status says that it has been seen, and stays as it is otherwise.
func TestAStatusFollowsTheSpec(t *testing.T) {
	anew := func(q *v1.BackfillRequest) { q.Generation = 5 }
	long := metav1.NewTime(now.Add(-time.Hour))
	saying := func(phase v1.RequestPhase, reason v1.Reason) func(*v1.BackfillRequest) {
		return func(q *v1.BackfillRequest) {
			backlog.SetPhase(&q.Status, phase, reason, "said before", 1, long)
			if phase.Final() {
				q.Status.CompletionTime = &long
			}
			q.Status.AttemptCount, q.Status.Job = 2, "job"
		}
	}
	for name, c := range map[string]struct {
		request *v1.BackfillRequest
		stream  *v1.Stream
		class   *v1.StreamClass
		follows bool
	}{
		"completed, set back":        {request("a", saying(v1.RequestCompleted, v1.ReasonRequestCompleted), anew), stream(), class(0), true},
		"completed, no stream":       {request("a", saying(v1.RequestCompleted, v1.ReasonRequestCompleted), anew, unowned), nil, nil, true},
		"cancelled, set back":        {request("a", saying(v1.RequestCancelled, v1.ReasonRequestCancelled), anew), stream(), class(0), true},
		"cancelled, still completed": {request("a", completed, saying(v1.RequestCancelled, v1.ReasonRequestCancelled), anew), stream(), class(0), true},
		"the operator's own":         {request("a", ours, saying(v1.RequestCompleted, v1.ReasonRequestCompleted), anew), stream(), class(0), true},
		"failed":                     {request("a", saying(v1.RequestFailed, v1.ReasonRequestFailed), anew), stream(failed), class(0), true},
		"paused":                     {request("a", saying(v1.RequestPaused, v1.ReasonStreamSuspended), anew), stream(suspended), class(0), true},
		"granted":                    {request("a", saying(v1.RequestGranted, v1.ReasonGranted), anew), stream(), class(1), true},
		"seen already":               {request("a", saying(v1.RequestCompleted, v1.ReasonRequestCompleted)), stream(), class(0), false},
		"runs: its stream tells it":  {request("a", saying(v1.RequestRunning, v1.ReasonRequestRunning), anew), stream(serving("a")), class(0), false},
		"signed: its stream tells it": {
			request("a", completed, annotated(v1.AnnotationCompletedBy, "job"), saying(v1.RequestPaused, v1.ReasonStreamSuspended), anew),
			stream(serving("a"), recordedSuccess), class(0), false,
		},
		"going with its stream": {request("a", saying(v1.RequestFailed, v1.ReasonRequestFailed), anew), stream(deleting), class(0), false},
		"new":                   {request("a", aged(0), anew), stream(), class(0), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{now: now, request: c.request, stream: c.stream, class: c.class}
			want := *c.request.Status.DeepCopy()
			want.ObservedGeneration = 5
			for i := range want.Conditions {
				want.Conditions[i].ObservedGeneration = 5
			}
			got := decide(w)
			if !c.follows {
				if got.does != nothing {
					t.Errorf("told %+v", got.status)
				}
				return
			}
			if got.does != tell || !reflect.DeepEqual(got.status, want) {
				t.Fatalf("\n got %+v\nwant %+v", got, want)
			}
			w.request.Status = got.status
			if again := decide(w); again.does != nothing {
				t.Errorf("told again: %+v", again)
			}
		})
	}
}

// TestAnEndedRequestIsCleanedUpAllTheSame: what its user changes after the end puts off nothing.
func TestAnEndedRequestIsCleanedUpAllTheSame(t *testing.T) {
	anew := func(q *v1.BackfillRequest) { q.Generation = 5 }
	w := &world{now: now, request: request("a", endedAt(v1.RequestCompleted, time.Minute), ttl(30), anew)}
	if d := decide(w); d.does != remove {
		t.Errorf("got %+v", d)
	}
	w.request = request("a", endedAt(v1.RequestCompleted, time.Minute), ttl(90), anew)
	d := decide(w)
	w.request.Status = d.status
	if again := decide(w); d.does != tell || again.wake != 30*time.Second {
		t.Errorf("got %+v, then %+v", d, again)
	}
}
