package validation

// This file tests what is said of a BackfillRequest, whole.

import (
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
)

func TestCreateRequest(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, around *RequestSurroundings)
		want   said
	}{
		"good": {func(*world, *RequestSurroundings) {}, said{}},
		"a stream that is not there yet": {func(_ *world, around *RequestSurroundings) { *around = RequestSurroundings{} }, warned(
			"spec.streamId: there is no Stream orders in namespace sales; the request waits for it",
		)},
		"a class that is not the stream's": {func(w *world, _ *RequestSurroundings) { w.request.Spec.StreamClass = "mysql" }, warned(
			"spec.streamClass: Stream orders is of StreamClass postgres, not mysql; the request waits with reason ClassMismatch until they agree",
		)},
		"a class that is not there yet": {func(_ *world, around *RequestSurroundings) { around.Class, around.Template = nil, nil }, said{}},
		"a template that is not there yet": {func(w *world, around *RequestSurroundings) {
			w.request.Spec.JobTemplateRef, around.Template = &v1.TemplateReference{Name: "own"}, nil
		}, warned("BackfillRequest again: spec.jobTemplateRef: there is no StreamingJobTemplate sales/own; create it or name another")},
		"a template that it may not name": {func(w *world, around *RequestSurroundings) {
			w.request.Spec.JobTemplateRef, around.Template = &v1.TemplateReference{Namespace: "kube-system", Name: "root"}, nil
		}, refused("spec.jobTemplateRef.namespace: Forbidden: StreamingJobTemplate kube-system/root" + elsewhere)},
		"a template that is broken": {func(w *world, _ *RequestSurroundings) { w.backfill.Spec.Spec.Template.Spec.Containers[0].Name = "main" }, warned(
			"StreamingJobTemplate arcane/big: spec.spec.template.spec.containers: must hold a container named plugin, the main one of StreamClass postgres, and holds main; rename one, or change the class's spec.containerName",
		)},
		"a payload that is too large": {func(w *world, _ *RequestSurroundings) {
			w.request.Spec.Payload = raw(`{"x":"` + strings.Repeat("x", definition.MaxSpecBytes) + `"}`)
		}, refused("spec.payload: Invalid value: is 98312 bytes of JSON, and a job can be given at most 98304; make it smaller")},
		"a payload that is too large, before its stream": {func(w *world, around *RequestSurroundings) {
			*around = RequestSurroundings{}
			w.request.Spec.Payload = raw(`{"x":"` + strings.Repeat("x", definition.MaxSpecBytes) + `"}`)
		}, said{
			errs:     []string{"spec.payload: Invalid value: is 98312 bytes of JSON, and a job can be given at most 98304; make it smaller"},
			warnings: []string{"spec.streamId: there is no Stream orders in namespace sales; the request waits for it"},
		}},
		"while others are unfinished": {func(w *world, around *RequestSurroundings) {
			other := func(name, stream string, completed bool, phase v1.RequestPhase) v1.BackfillRequest {
				q := v1.BackfillRequest{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.BackfillRequestSpec{StreamID: stream, Completed: completed}}
				q.Status.Phase = phase
				return q
			}
			around.Others = []v1.BackfillRequest{
				other("second", "orders", false, v1.RequestQueued), other("first", "orders", false, v1.RequestRunning),
				other("ended", "orders", true, v1.RequestCompleted), other("cancelled", "orders", false, v1.RequestCancelled),
				other("another's", "customers", false, ""), *w.request,
			}
		}, warned("spec.streamId: Stream orders has unfinished requests already (first, second); this one waits its turn")},
		"born signed": {func(w *world, _ *RequestSurroundings) {
			w.request.Annotations = map[string]string{v1.AnnotationCompletedBy: "uid"}
		}, refused(
			`metadata.annotations[streaming.sneaksanddata.com/completed-by]: Forbidden: is the operator's alone to write, and was ""; leave it as it was, and cancel the request by spec.completed without it`,
		)},
		"born completed": {func(w *world, _ *RequestSurroundings) { w.request.Spec.Completed = true }, warned(
			"spec.completed: is true, so this request counts as cancelled and will never run; leave the field out to have it run",
		)},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			around := w.ofRequest()
			c.change(w, &around)
			if got := told(Request(nil, w.request, around)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

// stamped is a request as the defaulting webhook admits it.
func stamped(w *world) { w.request.Annotations = map[string]string{v1.AnnotationAdmitted: "true"} }

func TestUpdateRequest(t *testing.T) {
	for name, c := range map[string]struct {
		before func(w *world)
		change func(w *world)
		want   said
	}{
		"nothing":    {func(*world) {}, func(*world) {}, said{}},
		"the stream": {func(*world) {}, func(w *world) { w.request.Spec.StreamID = "customers" }, refused(`spec.streamId: Invalid value: "customers": is immutable and was "orders"; delete this request and create one for the other stream`)},
		"cancelled":  {func(*world) {}, func(w *world) { w.request.Spec.Completed = true }, warned("spec.completed: setting it cancels this request, which cannot be undone")},
		"signed by hand": {func(*world) {}, func(w *world) {
			w.request.Spec.Completed, w.request.Annotations = true, map[string]string{v1.AnnotationCompletedBy: "uid"}
		}, refused(
			`metadata.annotations[streaming.sneaksanddata.com/completed-by]: Forbidden: is the operator's alone to write, and was ""; leave it as it was, and cancel the request by spec.completed without it`,
		)},
		"the signature removed": {func(w *world) { w.request.Annotations = map[string]string{v1.AnnotationCompletedBy: "uid"} }, func(w *world) { w.request.Annotations = nil }, refused(
			`metadata.annotations[streaming.sneaksanddata.com/completed-by]: Forbidden: is the operator's alone to write, and was "uid"; leave it as it was, and cancel the request by spec.completed without it`,
		)},
		"the signature left alone": {func(w *world) { w.request.Annotations = map[string]string{v1.AnnotationCompletedBy: "uid"} }, func(w *world) { w.request.Labels = map[string]string{"a": "b"} }, said{}},
		"the stamp removed": {stamped, func(w *world) { w.request.Annotations = nil }, refused(
			`metadata.annotations[streaming.sneaksanddata.com/admitted]: Forbidden: is written when the request is created, and was "true"; leave it as it was`,
		)},
		"the stamp removed, and completed in the same patch": {stamped, func(w *world) { w.request.Annotations, w.request.Spec.Completed = nil, true }, said{
			warnings: []string{"spec.completed: setting it cancels this request, which cannot be undone"},
			errs:     []string{`metadata.annotations[streaming.sneaksanddata.com/admitted]: Forbidden: is written when the request is created, and was "true"; leave it as it was`},
		}},
		"the stamp changed": {stamped, func(w *world) { w.request.Annotations[v1.AnnotationAdmitted] = "" }, refused(
			`metadata.annotations[streaming.sneaksanddata.com/admitted]: Forbidden: is written when the request is created, and was "true"; leave it as it was`,
		)},
		"the stamp left alone":       {stamped, func(w *world) { w.request.Annotations["team"] = "sales" }, said{}},
		"a stamp put on one without": {func(*world) {}, stamped, said{}},
		"reopened": {func(w *world) { w.request.Spec.Completed, w.request.Status.Phase = true, v1.RequestCompleted }, func(w *world) { w.request.Spec.Completed = false }, warned(
			"spec.completed: this request has ended (Completed), and changing the field changes nothing; create another BackfillRequest for another backfill",
		)},
		"a payload, running": {func(w *world) {
			w.stream.Status.Job = &v1.JobRecord{Name: "orders-1", Mode: v1.ModeBackfill, RequestUID: w.request.UID}
		}, func(w *world) { w.request.Spec.Payload = nil }, warned(
			"this edit does not reach the running backfill (Job orders-1), which runs on as it was started; it matters only if the backfill has to run again",
		)},
		"a payload, running, Restart": {func(w *world) {
			w.stream.Status.Job = &v1.JobRecord{Name: "orders-1", Mode: v1.ModeBackfill, RequestUID: w.request.UID}
			w.stream.Spec.Backfill = &v1.BackfillSpec{OnSpecChange: v1.OnSpecChangeRestart}
		}, func(w *world) { w.request.Spec.Payload = nil }, warned(
			"this edit stops the running backfill (Job orders-1) and starts it anew, as the stream's spec.backfill.onSpecChange says",
		)},
		"a payload, another one's backfill running": {func(w *world) { w.stream.Status.Job = &v1.JobRecord{Mode: v1.ModeBackfill, RequestUID: "x"} }, func(w *world) { w.request.Spec.Payload = nil }, said{}},
		"something wrong that was there before": {func(w *world) { w.request.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "kube-system"} }, func(w *world) {
			w.request.Labels = map[string]string{"a": "b"}
		}, said{}},
		"being deleted": {func(*world) {}, func(w *world) { w.request.DeletionTimestamp, w.request.Spec.StreamID = &metav1.Time{}, "x" }, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.before(w)
			old := w.request.DeepCopy()
			c.change(w)
			if got := told(Request(old, w.request, w.ofRequest())); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestRequestTemplate(t *testing.T) {
	w := good(t)
	big := &v1.TemplateReference{Namespace: "arcane", Name: "big"}
	if got := RequestTemplate(w.request, w.stream, w.class); !reflect.DeepEqual(got, big) {
		t.Errorf("the class's: got %+v", got)
	}
	if got := RequestTemplate(w.request, nil, nil); got != nil {
		t.Errorf("nobody's: got %+v", got)
	}
	w.request.Spec.JobTemplateRef = &v1.TemplateReference{Name: "own"}
	if got, want := RequestTemplate(w.request, nil, nil), (&v1.TemplateReference{Namespace: "sales", Name: "own"}); !reflect.DeepEqual(got, want) {
		t.Errorf("its own: got %+v", got)
	}
	if stream, backfill := Templates(w.stream, w.class); stream.Name != "std" || backfill.Name != "big" {
		t.Errorf("the stream's: got %+v, %+v", stream, backfill)
	}
}
