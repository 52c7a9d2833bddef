package validation

// This file tests what is said of a Stream, whole.

import (
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/definition"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
)

const elsewhere = " lies in another namespace, which StreamClass postgres does not allow; use a template in namespace sales, or have kube-system added to the class's spec.allowedTemplateNamespaces"

func TestCreateStream(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		want   said
	}{
		"good":                    {func(*world) {}, said{}},
		"a name of 63 characters": {func(w *world) { w.stream.Name = strings.Repeat("a", 63) }, said{}},
		"a name of 64 characters": {func(w *world) { w.stream.Name = strings.Repeat("a", 64) }, refused(
			`metadata.name: Invalid value: "` + strings.Repeat("a", 64) + `": has 64 characters, and a stream's name may have 63, because it is a label value on its Jobs and pods; choose a shorter name`,
		)},
		"everything that the schema asks for, at once": {func(w *world) {
			w.stream.Spec.Source = raw(`{"table":"","chunkRows":0,"credentials":{"name":"pg"},"columns":[{"name":"a"},{"type":"real"}]}`)
			w.stream.Spec.Sink = nil
		}, refused(
			"spec.sink: Required value: is required (as the schema of StreamClass postgres asks)",
			"spec.source.chunkRows: Invalid value: 0: should be greater than or equal to 1 (as the schema of StreamClass postgres asks)",
			"spec.source.columns[1].name: Required value: is required (as the schema of StreamClass postgres asks)",
			`spec.source.columns[1].type: Invalid value: "real": should be one of [int text] (as the schema of StreamClass postgres asks)`,
			`spec.source.table: Invalid value: "": should be at least 1 chars long (as the schema of StreamClass postgres asks)`,
		)},
		"a wrong type": {func(w *world) { w.stream.Spec.Source = raw(`{"table":["a"],"credentials":{"name":"pg"}}`) }, refused(
			`spec.source.table: Invalid value: must be of type string: "array" (as the schema of StreamClass postgres asks)`,
		)},
		"the Secret is missing": {func(w *world) { w.stream.Spec.Source = raw(`{"table":"a","credentials":{}}`) }, refused(
			"spec.source.credentials.name: Required value: is missing; set it to the name of the Secret with the plugin's credentials (StreamClass postgres reads a Secret from there)",
		)},
		"the Secret is missing, as the schema says too": {func(w *world) { w.stream.Spec.Source = raw(`{"table":"a"}`) }, refused(
			"spec.source.credentials: Required value: is required (as the schema of StreamClass postgres asks)",
		)},
		"no name of a Secret": {func(w *world) { w.stream.Spec.Source = raw(`{"table":"a","credentials":{"name":"../pg"}}`) }, refused(
			`spec.source.credentials.name: Invalid value: "../pg": "../pg" cannot be the name of a Secret: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*') (StreamClass postgres reads a Secret from there)`,
		)},
		"a schedule and a time zone that are none": {func(w *world) {
			w.stream.Spec.Schedule, w.stream.Spec.TimeZone = ptr.To("61 * * * *"), ptr.To("Atlantis")
		}, refused(
			`spec.schedule: Invalid value: "61 * * * *": "61 * * * *" is no cron expression of five fields, such as "*/15 * * * *": end of range (61) above maximum (59): 61`,
			`spec.timeZone: Invalid value: "Atlantis": "Atlantis" is no time zone of the IANA database (unknown time zone Atlantis); use a name such as Europe/Copenhagen`,
		)},
		"too large": {func(w *world) {
			w.class.Spec.Schema = nil
			w.stream.Spec.Source = raw(`{"credentials":{"name":"pg"},"x":"` + strings.Repeat("x", definition.MaxSpecBytes) + `"}`)
		}, refused("spec: Invalid value: is 98456 bytes of JSON, and a job can be given at most 98304; make it smaller")},
		"templates that it may not name": {func(w *world) {
			w.stream.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "kube-system", Name: "root"}
			w.stream.Spec.BackfillJobTemplateRef = &v1.TemplateReference{Namespace: "kube-system", Name: "boot"}
			w.template, w.backfill = nil, nil
		}, refused(
			"spec.jobTemplateRef.namespace: Forbidden: StreamingJobTemplate kube-system/root"+elsewhere,
			"spec.backfillJobTemplateRef.namespace: Forbidden: StreamingJobTemplate kube-system/boot"+elsewhere,
		)},
		"a template in a namespace that the class allows": {func(w *world) {
			w.stream.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "templates", Name: "std"}
			w.template.Namespace = "templates"
		}, said{}},
		"no template at all": {func(w *world) { w.stream.Spec.JobTemplateRef, w.template = nil, nil }, refused(
			"spec.jobTemplateRef: Required value: neither the stream nor its StreamClass postgres names a StreamingJobTemplate; set it here or there",
		)},
		"templates that are not there yet": {func(w *world) { w.template, w.backfill = nil, nil }, warned(
			"spec.jobTemplateRef: there is no StreamingJobTemplate sales/std; create it or name another",
			"spec.backfillJobTemplateRef: there is no StreamingJobTemplate arcane/big; create it or name another",
		)},
		"a class that is not there yet": {func(w *world) {
			w.class, w.template, w.backfill = nil, nil, nil
			w.stream.Spec.JobTemplateRef = nil
		}, warned("spec.streamClass: there is no StreamClass postgres; install the plugin that brings it")},
		"neither class nor template are there yet": {func(w *world) { w.class, w.template, w.backfill = nil, nil, nil }, warned(
			"spec.streamClass: there is no StreamClass postgres; install the plugin that brings it",
			"spec.jobTemplateRef: there is no StreamingJobTemplate sales/std; create it or name another",
		)},
		"a class of another kind": {func(w *world) {
			w.class.Spec.KindRef, w.class.Spec.APIGroupRef = "PostgresStream", "postgres.example.com"
		}, refused(
			`spec.streamClass: Invalid value: "postgres": StreamClass postgres is for kind PostgresStream of group "postgres.example.com", not for Streams; create the stream as that kind, or with another class`,
		)},
		"a class that is broken": {func(w *world) { w.class.Spec.FailureClasses[1].ExitCodes = []int32{143} }, warned(
			`StreamClass postgres: spec.failureClasses[1].exitCodes[0]: 143 belongs to "graceful" already; an exit code can mean only one thing, remove it from one of the two`,
		)},
		"a template that is broken": {func(w *world) { w.pod().RestartPolicy = corev1.RestartPolicyOnFailure }, warned(
			"StreamingJobTemplate sales/std: spec.spec.template.spec.restartPolicy: must be Never, not OnFailure: a podFailurePolicy needs it; set it to Never or remove it",
		)},
		"a template below the class's level": {func(w *world) { w.pod().HostPID = true }, warned(
			"StreamingJobTemplate sales/std: spec.spec.template.spec: has host namespaces (hostPID=true), which level baseline of StreamClass postgres forbids; change the template, or have the class's spec.podSecurityLevel changed",
		)},
		"a policy of its own": {func(w *world) { w.stream.Spec.PodFailurePolicy = ownPolicy(codes("In", "plugin", 7)) }, said{}},
		"every fault of a policy": {func(w *world) {
			broken := ownPolicy(codes("In", "nobody", 0, 7, 7), codes("Is", "exporter", 1), batchv1.PodFailurePolicyRule{Action: "FailIndex"})
			broken.Rules[3].OnPodConditions[0].Status = "yes"
			w.stream.Spec.PodFailurePolicy = broken
		}, refused(
			`spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "nobody": the template has no container nobody, it has plugin, exporter; name one of these`,
			"spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: 0 is success and cannot stand with In; remove it",
			"spec.podFailurePolicy.rules[0].onExitCodes.values[2]: Invalid value: 7: 7 comes after 7; sort the exit codes, each once",
			`spec.podFailurePolicy.rules[1].onExitCodes.operator: Invalid value: "Is": "Is" is no operator; use In or NotIn`,
			`spec.podFailurePolicy.rules[2].action: Invalid value: "FailIndex": FailIndex belongs to Indexed Jobs, which a stream's are not; use FailJob, Ignore or Count`,
			"spec.podFailurePolicy.rules[2]: Invalid value: must have either onExitCodes or onPodConditions; split the rule or complete it",
			`spec.podFailurePolicy.rules[3].onPodConditions[0].status: Invalid value: "yes": "yes" is no status; use True, False or Unknown`,
			`spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: "nobody": the template has no container nobody, it has plugin; name one of these`,
			`spec.podFailurePolicy.rules[1].onExitCodes.containerName: Invalid value: "exporter": the template has no container exporter, it has plugin; name one of these`,
		)},
		"a policy without the rule about disruptions": {func(w *world) {
			w.stream.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{codes("In", "", 7)}}
		}, warned("spec.podFailurePolicy: has no rule that ignores the pod condition DisruptionTarget, so a pod that is evicted or deleted counts as a failure; add one unless you mean it")},
		"being deleted": {func(w *world) {
			w.stream.DeletionTimestamp, w.stream.Spec.Sink = &metav1.Time{}, nil
		}, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.change(w)
			if got := told(Stream(nil, w.stream, w.ofStream())); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestUpdateStream(t *testing.T) {
	running := func(mode v1.Mode) func(s *v1.Stream) {
		return func(s *v1.Stream) { s.Status.Job = &v1.JobRecord{Name: "orders-1", Mode: mode} }
	}
	other := func(w *world) { w.stream.Spec.Sink = raw(`{"url":"s3://other"}`) }
	bad := func(w *world) { w.stream.Spec.Sink = raw(`{"url":"gopher://"}`) }
	badly := refused(`spec.sink.url: Invalid value: "gopher://": should match '^(file|s3)://' (as the schema of StreamClass postgres asks)`)
	for name, c := range map[string]struct {
		before func(s *v1.Stream)
		change func(w *world)
		want   said
	}{
		"nothing":                   {running(v1.ModeStream), func(*world) {}, said{}},
		"the class":                 {running(v1.ModeStream), func(w *world) { w.stream.Spec.StreamClass = "postgres2" }, refused(`spec.streamClass: Invalid value: "postgres2": is immutable and was "postgres"; delete the Stream and create it again with the new class`)},
		"the sink, streaming":       {running(v1.ModeStream), other, warned("this edit restarts the streaming job (Job orders-1)")},
		"the sink, nothing running": {func(*v1.Stream) {}, other, said{}},
		"the sink, backfilling":     {running(v1.ModeBackfill), other, warned("this edit waits for the running backfill (Job orders-1); set spec.backfill.onSpecChange to Restart to have it started anew")},
		"the sink, backfilling, Restart": {running(v1.ModeBackfill), func(w *world) {
			other(w)
			w.stream.Spec.Backfill = &v1.BackfillSpec{OnSpecChange: v1.OnSpecChangeRestart}
		}, warned("this edit stops the running backfill (Job orders-1) and starts it anew, as spec.backfill.onSpecChange says")},
		"the sink, and suspended": {running(v1.ModeStream), func(w *world) { other(w); w.stream.Spec.Suspended = true }, said{}},
		"a schedule":              {running(v1.ModeStream), func(w *world) { w.stream.Spec.Schedule = ptr.To("@hourly") }, warned("this edit stops the streaming job (Job orders-1); from now on the stream runs by its schedule")},
		"another template": {running(v1.ModeStream), func(w *world) {
			w.stream.Spec.JobTemplateRef = &v1.TemplateReference{Namespace: "templates", Name: "std"}
		}, warned("this edit restarts the streaming job (Job orders-1)")},
		"the same template, its namespace written": {running(v1.ModeStream), func(w *world) { w.stream.Spec.JobTemplateRef.Namespace = "sales" }, said{}},
		"the backfill's template, streaming":       {running(v1.ModeStream), func(w *world) { w.stream.Spec.BackfillJobTemplateRef = w.stream.Spec.JobTemplateRef }, said{}},
		"settings that restart nothing":            {running(v1.ModeStream), func(w *world) { DefaultStream(w.stream, false, w.ofStream()) }, said{}},
		"a policy of its own":                      {running(v1.ModeStream), func(w *world) { w.stream.Spec.PodFailurePolicy = ownPolicy() }, warned("this edit restarts the streaming job (Job orders-1)")},
		"something wrong":                          {running(v1.ModeStream), bad, badly},
		"something wrong that was there before": {func(s *v1.Stream) { s.Spec.Sink = raw(`{"url":"gopher://"}`) }, func(w *world) {
			bad(w)
			w.stream.Spec.Suspended, w.stream.Labels = true, map[string]string{"a": "b"}
		}, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			old := w.stream.DeepCopy()
			c.before(old)
			w.stream.Status = old.Status
			c.change(w)
			if got := told(Stream(old, w.stream, w.ofStream())); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestAWarningMeansAnotherHash: what is warned of is what the operator will do.
func TestAWarningMeansAnotherHash(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"nothing":       func(*world) {},
		"sink":          func(w *world) { w.stream.Spec.Sink = raw(`{"url":"s3://other"}`) },
		"order of keys": func(w *world) { w.stream.Spec.Sink = raw(`{ "url" : "file:///data" }`) },
		"suspended":     func(w *world) { w.stream.Spec.Suspended = true },
		"schedule":      func(w *world) { w.stream.Spec.Schedule = ptr.To("@hourly") },
		"policy":        func(w *world) { w.stream.Spec.PodFailurePolicy = ownPolicy() },
		"defaults":      func(w *world) { DefaultStream(w.stream, true, w.ofStream()) },
		"backfill":      func(w *world) { w.stream.Spec.Backfill = &v1.BackfillSpec{} },
		"template":      func(w *world) { w.template.Name, w.stream.Spec.JobTemplateRef.Name = "other", "other" },
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			hash := func() string {
				d, p := definition.FromStream(w.stream, w.class, nil)
				if p != nil {
					t.Fatal(p)
				}
				return jobspec.Hash(jobspec.Input{Definition: d, Class: w.class, Template: w.template, Mode: mode(d)})
			}
			old, before := w.stream.DeepCopy(), hash()
			old.Status.Job = &v1.JobRecord{Mode: v1.ModeStream}
			change(w)
			d, _ := definition.FromStream(w.stream, w.class, nil)
			if got, want := reconfigures(old, w.stream, d, w.class), hash() != before; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestStreamJobs(t *testing.T) {
	w := good(t)
	names := func() (all []string) {
		for _, job := range StreamJobs(w.stream, w.ofStream()) {
			if job.Namespace != "sales" || len(job.OwnerReferences) > 0 || len(job.Spec.Template.Spec.Containers) == 0 || !*job.Spec.Suspend {
				t.Errorf("%+v", job)
			}
			all = append(all, job.Name)
		}
		return all
	}
	w.stream.UID = ""
	want := []string{"orders-rcflhcncnc6l-0", "orders-rcflhcncnc6l-1"}
	if got := names(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	w.stream.Spec.Schedule = ptr.To("@hourly")
	if got, want := names(), []string{"orders-rcflhcncnc6l", "orders-rcflhcncnc6l-1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("scheduled: got %q, want %q", got, want)
	}
	w.template = nil
	if got, want := names(), []string{"orders-rcflhcncnc6l-1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("without its template: got %q, want %q", got, want)
	}
	w.stream.Spec.Sink = nil
	if got := names(); got != nil {
		t.Errorf("refused, and built: %q", got)
	}
}

func TestStreamSecrets(t *testing.T) {
	w := good(t)
	w.class.Spec.SecretRefs = []string{"sink.credentials", "source.credentials"}
	if got := StreamSecrets(w.stream, w.class); !reflect.DeepEqual(got, []string{"pg"}) {
		t.Errorf("got %q", got)
	}
	if got := StreamSecrets(w.stream, nil); got != nil {
		t.Errorf("without a class: %q", got)
	}
}
