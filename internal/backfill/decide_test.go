package backfill

// This file tests the decision about one request: whole values.

import (
	"fmt"
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
	return func(q *v1.BackfillRequest) { q.Status.Phase = phase }
}

func endedAt(phase v1.RequestPhase, d time.Duration) func(*v1.BackfillRequest) {
	return func(q *v1.BackfillRequest) {
		q.Status.Phase = phase
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

// made is a request of the operator's own: its stream controls it.
func made(q *v1.BackfillRequest, reason string) {
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
func copied(q *v1.BackfillRequest) { q.Annotations[v1.AnnotationMadeBy] = v1.RequestInitial }

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
	former := finished(v1.RequestCompleted, v1.ReasonRequestCompleted, "It had been completed before this version of Arcane first saw it.")
	done := func(job string, count int32, attempts ...v1.Attempt) decision {
		return finished(v1.RequestCompleted, v1.ReasonRequestCompleted, "The backfill has completed.", func(s *v1.BackfillRequestStatus) {
			s.Job, s.AttemptCount, s.Attempts = job, count, attempts
		})
	}
	byJob := annotated(v1.AnnotationCompletedBy, "uid-job")
	succeeded := v1.Attempt{Job: "job", JobUID: "uid-job", Result: v1.AttemptSucceeded, Time: metav1.NewTime(now)}
	working := func(q *v1.BackfillRequest) { q.Status.Job = "job" }
	unstamped := func(q *v1.BackfillRequest) { q.Annotations = nil }
	for name, c := range map[string]struct {
		world world
		want  decision
	}{
		"cancelled while it waits":        {world{request: request("a", completed), stream: stream()}, cancelled},
		"cancelled, without a stream":     {world{request: request("a", completed, unowned)}, cancelled},
		"cancelled while it runs":         {world{request: request("a", completed, unstamped, func(q *v1.BackfillRequest) { q.Status = status(v1.RequestRunning, v1.ReasonRequestRunning, "") }), stream: stream(serving("a"))}, cancelled},
		"from an earlier Arcane":          {world{request: request("a", completed, unstamped), stream: stream()}, former},
		"completed, the stream is at it":  {world{request: request("a", completed, byJob, in(v1.RequestRunning)), stream: stream(serving("a"))}, decision{}},
		"completed, the stream went on":   {world{request: request("a", completed, byJob, working), stream: stream(streaming)}, done("job", 1, succeeded)},
		"completed, the stream is gone":   {world{request: request("a", completed, byJob, working)}, done("job", 1, succeeded)},
		"completed, serves another one":   {world{request: request("a", completed, byJob, working), stream: stream(serving("b"))}, done("job", 1, succeeded)},
		"completed, the attempt is noted": {world{request: request("a", completed, byJob, working, func(q *v1.BackfillRequest) { q.Status.AttemptCount, q.Status.Attempts = 1, []v1.Attempt{succeeded} }), stream: stream()}, done("job", 1, succeeded)},

		"cancelled long ago":                     {world{request: request("a", completed, endedAt(v1.RequestCancelled, time.Hour))}, decision{}},
		"completed long ago":                     {world{request: request("a", completed, endedAt(v1.RequestCompleted, time.Hour)), stream: stream()}, decision{}},
		"completed, and completed is taken back": {world{request: request("a", endedAt(v1.RequestCompleted, time.Hour)), stream: stream()}, decision{}},
		"its time has not come":                  {world{request: request("a", endedAt(v1.RequestCompleted, time.Minute), ttl(90))}, decision{wake: 30 * time.Second}},
		"its time has come":                      {world{request: request("a", endedAt(v1.RequestCancelled, time.Minute), ttl(60))}, decision{does: remove}},
		"its time is none":                       {world{request: request("a", endedAt(v1.RequestCompleted, 0), ttl(0))}, decision{does: remove}},
		"no time of its end":                     {world{request: request("a", in(v1.RequestCompleted), ttl(60))}, decision{does: remove}},
		"ours, two newer": {world{
			request:  request("a", ours, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", ours, endedAt(v1.RequestCompleted, time.Minute)), request("c", ours, endedAt(v1.RequestCancelled, time.Minute))),
		}, decision{}},
		"ours, three newer": {world{
			request: request("a", ours, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", ours, endedAt(v1.RequestCompleted, time.Minute)), request("c", ours, endedAt(v1.RequestCancelled, time.Minute)),
				request("d", ours, endedAt(v1.RequestCompleted, time.Hour))),
		}, decision{does: remove}},
		"a copy of ours, three newer": {world{
			request: request("a", copied, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", ours, endedAt(v1.RequestCompleted, time.Minute)), request("c", ours, endedAt(v1.RequestCancelled, time.Minute)),
				request("d", ours, endedAt(v1.RequestCompleted, time.Minute))),
		}, decision{}},
		"ours, three newer of users": {world{
			request: request("a", ours, endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", endedAt(v1.RequestCompleted, time.Minute)), request("c", endedAt(v1.RequestCancelled, time.Minute)),
				request("d", endedAt(v1.RequestCompleted, time.Minute)), request("e", ours), request("f", ours, endedAt(v1.RequestCompleted, 2*time.Hour))),
		}, decision{}},
		"a user's, three newer": {world{
			request: request("a", endedAt(v1.RequestCompleted, time.Hour)),
			requests: list(request("b", ours, endedAt(v1.RequestCompleted, time.Minute)), request("c", ours, endedAt(v1.RequestCancelled, time.Minute)),
				request("d", ours, endedAt(v1.RequestCompleted, time.Minute))),
		}, decision{}},
	} {
		t.Run(name, func(t *testing.T) { check(t, c.world, c.want) })
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	q := request("a", completed, annotated(v1.AnnotationCompletedBy, "job-12"))
	q.Status.AttemptCount = 11
	for i := range 10 {
		q.Status.Attempts = append(q.Status.Attempts, v1.Attempt{JobUID: types.UID(fmt.Sprintf("job-%d", i+2)), Result: v1.AttemptInterrupted})
	}
	d := decide(&world{now: now, request: q})
	if n := len(d.status.Attempts); n != 10 || d.status.AttemptCount != 12 || d.status.Attempts[0].JobUID != "job-3" || d.status.Attempts[9].JobUID != "job-12" {
		t.Errorf("%d attempts, count %d: %+v", n, d.status.AttemptCount, d.status.Attempts)
	}
}
