package jobspec

// This file tests the parts: names, hashes, policies.

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestName(t *testing.T) {
	const uid types.UID = "0e1c7c2e-6f0a-4d5e-9b9e-0d4f1a2b3c4d"
	for name, want := range map[string]string{
		"orders":                          "orders-7mrqo7qgintp-1763935201",
		"orders.v1":                       "orders-v1-v4fcodzqjedu-1763935201",
		strings.Repeat("o", 63):           "oooooooooooooooooooooooooooo-iry6vu6y3puz-1763935201",
		strings.Repeat("o", 27) + "-tail": "ooooooooooooooooooooooooooo-dmrwurhycdu4-1763935201",
	} {
		if got := Name(name, uid, "Stream", 1763935201); got != want {
			t.Errorf("Name(%s) = %s, want %s", name, got, want)
		}
	}
}

// TestNamesNeverMeet: every stream of every shape, kind and life, in every run,
// has a name of its own that Kubernetes takes for a Job and for a pod's host name.
func TestNamesNeverMeet(t *testing.T) {
	var names []string
	for length := 1; length <= 253; length++ {
		for _, unit := range []string{"a", "0", "a-", "a.", "a-b.c", "a--"} {
			names = append(names, strings.Trim(strings.Repeat(unit, length)[:length], "-."))
		}
	}
	names = append(names, "orders", "orders-1", "orders-7mrqo7qgintp-1", "orders.v1", "orders-v1")
	slices.Sort(names)
	seen := map[string]string{}
	for _, name := range slices.Compact(names) {
		for _, kind := range []string{"Stream", "SqlServerStream", "StreamClass"} {
			for _, uid := range []types.UID{"u1", "u2"} {
				for _, run := range []int64{1, 2, 12, 1763935201, math.MaxInt64} {
					checkName(t, seen, name, uid, kind, run)
				}
			}
		}
	}
	t.Logf("%d names", len(seen))
}

func checkName(t *testing.T, seen map[string]string, name string, uid types.UID, kind string, run int64) {
	t.Helper()
	who := fmt.Sprintf("%s/%s/%s/%d", kind, name, uid, run)
	got := Name(name, uid, kind, run)
	if got != Name(name, uid, kind, run) {
		t.Fatalf("%s has two names", who)
	}
	if errs := validation.IsDNS1123Label(got); len(errs) > 0 || len(got) > MaxName {
		t.Fatalf("%s: %q (%d): %v", who, got, len(got), errs)
	}
	if other, taken := seen[got]; taken {
		t.Fatalf("%s and %s are both %s", who, other, got)
	}
	seen[got] = who
}

// TestNamesTellWhose: a name tells whose it is, and which run's, whatever the stream is called.
func TestNamesTellWhose(t *testing.T) {
	const uid types.UID = "0e1c7c2e-6f0a-4d5e-9b9e-0d4f1a2b3c4d"
	for _, stream := range []string{"orders", "orders.v1", strings.Repeat("o", 63), strings.Repeat("o", 27) + "-tail", "7mrqo7qgintp", "a-7mrqo7qgintp-1"} {
		cron := CronName(stream, uid, "Stream")
		for _, job := range []string{Name(stream, uid, "Stream", 1), Name(stream, uid, "Stream", 1763935201), Name(stream, uid, "Stream", MaxRun), cron + "-29384756"} {
			if !IsJobOf(job, stream, uid, "Stream") || !IsOf(job, stream, uid, "Stream") || IsJobOf(job, stream, "another", "Stream") || IsOf(job, stream, uid, "Other") {
				t.Errorf("it is not told that job %s is the stream's alone", job)
			}
			base := job + "-"
			pod := base[:min(len(base), 58)] + "24589"
			whole := len(base) <= 58 // of a longer one the pod's name has only the beginning
			if !IsOf(pod, stream, uid, "Stream") || !IsPodOf(pod, job) || IsPodOf(pod, "x"+job) || whole && (IsJobOf(pod, stream, uid, "Stream") || JobOf(pod) != job) {
				t.Errorf("it is not told that %s is a pod of %s", pod, job)
			}
			if !slices.Contains(Marks(pod), Mark(stream, uid, "Stream")) {
				t.Errorf("the cache would not find %s", pod)
			}
		}
		if !IsOf(cron, stream, uid, "Stream") || IsJobOf(cron, stream, uid, "Stream") {
			t.Errorf("it is not told that %s is the stream's CronJob", cron)
		}
	}
	for name, want := range map[string]int64{
		"orders-7mrqo7qgintp-1763935201": 1763935201, "a-" + strconv.Itoa(MaxRun): MaxRun, "a-" + strconv.Itoa(MaxRun+1): 0,
		"a-99999999999999999999": 0, "a--1": 1, "a-+1": 0, "a-0x1": 0, "a-1e3": 0, "a-": 0, "a": 0, "": 0, "12": 12,
	} {
		if got := RunOf(name); got != want {
			t.Errorf("RunOf(%q) = %d, want %d", name, got, want)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("orders", "u", "Stream", int64(1))
	f.Add("", "", "", int64(0))
	f.Fuzz(func(t *testing.T, name, uid, kind string, run int64) {
		if len(validation.IsDNS1123Subdomain(name)) > 0 || run < 0 {
			return // no object has such a name, no run such a number
		}
		checkName(t, map[string]string{}, name, types.UID(uid), kind, run)
	})
}

// TestHash says what makes a job another job, and what does not.
func TestHash(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		same   bool
	}{
		"nothing":                 {func(*world) {}, true},
		"suspended":               {func(w *world) { w.stream.Spec.Suspended = true }, true},
		"the pod's restartPolicy": {func(w *world) { w.template.Spec.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever }, true},
		"source":                  {func(w *world) { w.stream.Spec.Source.Raw = []byte(`{"credentials":{"name":"other"}}`) }, false},
		"policy of the user":      {func(w *world) { w.stream.Spec.PodFailurePolicy = onCodes("plugin", 1) }, false},
		"resourceVersions": {func(w *world) {
			w.stream.ResourceVersion, w.class.ResourceVersion, w.template.ResourceVersion = "1", "2", "3"
		}, true},
		"the stream's labels": {func(w *world) { w.stream.Labels = map[string]string{"a": "b"} }, true},

		"the template's own labels":   {func(w *world) { w.template.Labels = map[string]string{"a": "b"} }, true},
		"name within the template":    {func(w *world) { w.template.Spec.Name = "other" }, true},
		"labels for the Job":          {func(w *world) { w.template.Spec.Labels["team"] = "other" }, false},
		"annotations for the Job":     {func(w *world) { w.template.Spec.Annotations["note"] = "other" }, false},
		"labels of pods":              {func(w *world) { w.template.Spec.Spec.Template.Labels["team"] = "other" }, false},
		"image":                       {func(w *world) { w.template.Spec.Spec.Template.Spec.Containers[0].Image = "plugin:2" }, false},
		"another template":            {func(w *world) { w.template.Name = "other" }, false},
		"no labels, written as empty": {func(w *world) { w.template.Spec.Spec.Template.Spec.NodeSelector = map[string]string{} }, true},

		"secretRefs":          {func(w *world) { w.class.Spec.SecretRefs = w.class.Spec.SecretRefs[:1] }, false},
		"failure classes":     {func(w *world) { w.class.Spec.FailureClasses[2].ExitCodes = []int32{20} }, false},
		"the class's policy":  {func(w *world) { w.class.Spec.PodFailurePolicy = onCodes("plugin", 1) }, false},
		"the main container":  {func(w *world) { w.class.Spec.ContainerName = "exporter" }, false},
		"limit of backfills":  {func(w *world) { w.class.Spec.Backfill = &v1.ClassBackfill{} }, true},
		"the class's schema":  {func(w *world) { w.class.Spec.Schema = &v1.StreamSchema{} }, true},
		"the class's default": {func(w *world) { w.class.Spec.BackfillJobTemplateRef = &v1.TemplateReference{Name: "big"} }, true},
		"the class's status":  {func(w *world) { w.class.Status.Phase = v1.ClassReady }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := Hash(load(t, "testdata/full-stream.input.yaml").input(t))
			w := load(t, "testdata/full-stream.input.yaml")
			c.change(&w)
			in := w.input(t)
			in.Run = 7
			if after := Hash(in); (before == after) != c.same {
				t.Errorf("before %s, after %s", before, after)
			}
		})
	}
}

// TestHashOfClassBehindPolicy: what a policy hides does not restart a stream.
func TestHashOfClassBehindPolicy(t *testing.T) {
	for name, own := range map[string]func(w *world){
		"the stream's own":   func(w *world) { w.stream.Spec.PodFailurePolicy = onCodes("plugin", 1) },
		"the template's own": func(w *world) { w.template.Spec.Spec.PodFailurePolicy = onCodes("plugin", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := load(t, "testdata/full-stream.input.yaml")
			own(&w)
			before := Hash(w.input(t))
			w.class.Spec.PodFailurePolicy = onCodes("exporter", 9)
			w.class.Spec.FailureClasses = nil
			if after := Hash(w.input(t)); before != after {
				t.Error("a policy that does not hold changed the hash")
			}
		})
	}
}

func TestHashOfBackfill(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		same   bool
	}{
		"nothing": {func(*world) {}, true},
		"payload in another order": {func(w *world) {
			w.request.Spec.Payload = &runtime.RawExtension{Raw: []byte(`{"for":"$(USER)", "from":"2024-01-01", "a":[2,1]}`)}
		}, true},
		"payload":              {func(w *world) { w.request.Spec.Payload.Raw = []byte(`{}`) }, false},
		"no payload":           {func(w *world) { w.request.Spec.Payload = nil }, false},
		"status and spec":      {func(w *world) { w.request.Status.Phase, w.request.Spec.Completed = v1.RequestRunning, true }, true},
		"streaming instead":    {func(w *world) { w.request = nil }, false},
		"unreadable":           {func(w *world) { w.request.Spec.Payload.Raw = []byte(`{`) }, false},
		"payload that is null": {func(w *world) { w.request.Spec.Payload.Raw = []byte(`null`) }, false},
		"the request's label":  {func(w *world) { w.request.Labels = map[string]string{"a": "b"} }, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := Hash(load(t, "testdata/full-backfill.input.yaml").input(t))
			w := load(t, "testdata/full-backfill.input.yaml")
			c.change(&w)
			if after := Hash(w.input(t)); (before == after) != c.same {
				t.Errorf("before %s, after %s", before, after)
			}
		})
	}
}

// TestHashIsKept: a hash that changes with the operator's version restarts every
// stream of every user. If this fails, the inputs' form has changed: change it back.
func TestHashIsKept(t *testing.T) {
	for file, want := range map[string]string{
		"testdata/full-stream.input.yaml":   "f60375b777308d1e0a491de426e74071",
		"testdata/full-backfill.input.yaml": "5cdbfa5d8d6330ce1fe4c7d97a0982f7",
	} {
		if got := Hash(load(t, file).input(t)); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
}

func TestFailurePolicy(t *testing.T) {
	disrupted := batchv1.PodFailurePolicyRule{
		Action: batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
		},
	}
	failJob := func(container string, codes ...int32) batchv1.PodFailurePolicyRule {
		return onExitCodes(batchv1.PodFailurePolicyActionFailJob, container, codes)
	}
	ignore := func(container string, codes ...int32) batchv1.PodFailurePolicyRule {
		return onExitCodes(batchv1.PodFailurePolicyActionIgnore, container, codes)
	}
	own, templates, classes := onCodes("plugin", 1), onCodes("plugin", 2), onCodes("plugin", 3)
	for name, c := range map[string]struct {
		change func(w *world)
		want   []batchv1.PodFailurePolicyRule
	}{
		"computed": {
			func(*world) {},
			[]batchv1.PodFailurePolicyRule{failJob("plugin", 20, 21, 30), disrupted, ignore("plugin", 2, 143)},
		},
		"computed, no failure classes": {
			func(w *world) { w.class.Spec.FailureClasses = nil },
			[]batchv1.PodFailurePolicyRule{disrupted, ignore("plugin", 2, 143)},
		},
		"computed, nothing ignored": {
			func(w *world) { w.class.Spec.FailureClasses = w.class.Spec.FailureClasses[2:3] },
			[]batchv1.PodFailurePolicyRule{failJob("plugin", 20, 21), disrupted},
		},
		"computed, main container named": {
			func(w *world) { w.class.Spec.ContainerName = "exporter" },
			[]batchv1.PodFailurePolicyRule{failJob("exporter", 20, 21, 30), disrupted, ignore("exporter", 2, 143)},
		},
		"computed, before there is a template": {
			func(w *world) { w.template = nil },
			[]batchv1.PodFailurePolicyRule{failJob("", 20, 21, 30), disrupted, ignore("", 2, 143)},
		},
		"computed, codes in disorder": {
			func(w *world) {
				w.class.Spec.FailureClasses = []v1.FailureClass{
					{Name: "a", ExitCodes: []int32{9, 0, 3}, Action: v1.ActionFail}, {Name: "b", ExitCodes: []int32{5, 3}, Action: v1.ActionBackfill},
				}
			},
			[]batchv1.PodFailurePolicyRule{failJob("plugin", 3, 5, 9), disrupted},
		},
		"the class's": {func(w *world) { w.class.Spec.PodFailurePolicy = classes }, classes.Rules},
		"the template's": {func(w *world) {
			w.class.Spec.PodFailurePolicy, w.template.Spec.Spec.PodFailurePolicy = classes, templates
		}, templates.Rules},
		"the stream's": {func(w *world) {
			w.class.Spec.PodFailurePolicy, w.template.Spec.Spec.PodFailurePolicy, w.stream.Spec.PodFailurePolicy = classes, templates, own
		}, own.Rules},
	} {
		t.Run(name, func(t *testing.T) {
			w := load(t, "testdata/full-stream.input.yaml")
			c.change(&w)
			if len(w.class.Spec.FailureClasses) == 2 {
				// Such a class is not served; the function is asked all the same.
				if got := FailurePolicy(Input{}.Definition, w.class, w.template); !reflect.DeepEqual(got.Rules, c.want) {
					t.Errorf("\n got %+v\nwant %+v", got.Rules, c.want)
				}
				return
			}
			in := w.input(t)
			if got := FailurePolicy(in.Definition, w.class, w.template); !reflect.DeepEqual(got.Rules, c.want) {
				t.Errorf("\n got %+v\nwant %+v", got.Rules, c.want)
			}
		})
	}
}

func TestFailureClassOf(t *testing.T) {
	declared := &v1.StreamClass{Spec: v1.StreamClassSpec{FailureClasses: []v1.FailureClass{
		{Name: "config", ExitCodes: []int32{20, 21}, Action: v1.ActionFail},
	}}}
	for _, c := range []struct {
		class *v1.StreamClass
		code  int32
		want  string
	}{
		{declared, 21, "config"},
		{declared, 143, ""},
		{declared, 0, ""},
		{&v1.StreamClass{}, 143, "graceful"},
		{&v1.StreamClass{}, 2, "transient"},
		{&v1.StreamClass{}, 1, ""},
		{nil, 143, "graceful"},
	} {
		got, found := FailureClassOf(c.class, c.code)
		if got.Name != c.want || found != (c.want != "") {
			t.Errorf("FailureClassOf(%d) = %q, %v, want %q", c.code, got.Name, found, c.want)
		}
	}
}

// TestPolicyLimits: Kubernetes' own, found before Kubernetes finds them.
func TestPolicyLimits(t *testing.T) {
	pod := &corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}, InitContainers: []corev1.Container{{Name: "init"}}}
	codes := func(n int) []int32 {
		list := make([]int32, n)
		for i := range list {
			list[i] = int32(i + 1)
		}
		return list
	}
	conditions := func(n int, pattern batchv1.PodFailurePolicyOnPodConditionsPattern) batchv1.PodFailurePolicyRule {
		return batchv1.PodFailurePolicyRule{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: slices.Repeat([]batchv1.PodFailurePolicyOnPodConditionsPattern{pattern}, n),
		}
	}
	target := batchv1.PodFailurePolicyOnPodConditionsPattern{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}
	rule := func(operator batchv1.PodFailurePolicyOnExitCodesOperator, codes ...int32) batchv1.PodFailurePolicyRule {
		r := onExitCodes(batchv1.PodFailurePolicyActionCount, "main", codes)
		r.OnExitCodes.Operator = operator
		return r
	}
	for name, c := range map[string]struct {
		rules []batchv1.PodFailurePolicyRule
		want  string
	}{
		"none":                   {nil, ""},
		"20 rules":               {slices.Repeat([]batchv1.PodFailurePolicyRule{rule("In", 1)}, 20), ""},
		"21 rules":               {slices.Repeat([]batchv1.PodFailurePolicyRule{rule("In", 1)}, 21), "p.rules: has 21 rules, and Kubernetes allows at most 20; merge some"},
		"255 codes":              {[]batchv1.PodFailurePolicyRule{rule("In", codes(255)...)}, ""},
		"256 codes":              {[]batchv1.PodFailurePolicyRule{rule("In", codes(256)...)}, "p.rules[0].onExitCodes.values: has 256 exit codes, and Kubernetes allows 1 to 255; remove the rule, or split it"},
		"no codes":               {[]batchv1.PodFailurePolicyRule{rule("In")}, "p.rules[0].onExitCodes.values: has 0 exit codes, and Kubernetes allows 1 to 255; remove the rule, or split it"},
		"0 in":                   {[]batchv1.PodFailurePolicyRule{rule("In", 0)}, "p.rules[0].onExitCodes.values[0]: 0 is success and cannot stand with In; remove it"},
		"0 not in":               {[]batchv1.PodFailurePolicyRule{rule("NotIn", 0, 1)}, ""},
		"unsorted":               {[]batchv1.PodFailurePolicyRule{rule("In", 1), rule("In", 2, 1)}, "p.rules[1].onExitCodes.values[1]: 1 comes after 2; sort the exit codes, each once"},
		"twice":                  {[]batchv1.PodFailurePolicyRule{rule("In", 2, 2)}, "p.rules[0].onExitCodes.values[1]: 2 comes after 2; sort the exit codes, each once"},
		"operator":               {[]batchv1.PodFailurePolicyRule{rule("", 1)}, `p.rules[0].onExitCodes.operator: "" is no operator; use In or NotIn`},
		"init container":         {[]batchv1.PodFailurePolicyRule{onExitCodes("Ignore", "init", []int32{1})}, ""},
		"any container":          {[]batchv1.PodFailurePolicyRule{onExitCodes("Ignore", "", []int32{1})}, ""},
		"container of no one":    {[]batchv1.PodFailurePolicyRule{onExitCodes("Ignore", "x", []int32{1})}, "p.rules[0].onExitCodes.containerName: the template has no container x, it has main, init; name one of these"},
		"FailIndex":              {[]batchv1.PodFailurePolicyRule{onExitCodes("FailIndex", "main", []int32{1})}, "p.rules[0].action: FailIndex belongs to Indexed Jobs, which a stream's are not; use FailJob, Ignore or Count"},
		"no action":              {[]batchv1.PodFailurePolicyRule{onExitCodes("", "main", []int32{1})}, `p.rules[0].action: "" is no action; use FailJob, Ignore or Count`},
		"neither":                {[]batchv1.PodFailurePolicyRule{{Action: "Ignore"}}, "p.rules[0]: must have either onExitCodes or onPodConditions; split the rule or complete it"},
		"both":                   {[]batchv1.PodFailurePolicyRule{{Action: "Ignore", OnExitCodes: rule("In", 1).OnExitCodes, OnPodConditions: conditions(1, target).OnPodConditions}}, "p.rules[0]: must have either onExitCodes or onPodConditions; split the rule or complete it"},
		"20 conditions":          {[]batchv1.PodFailurePolicyRule{conditions(20, target)}, ""},
		"21 conditions":          {[]batchv1.PodFailurePolicyRule{conditions(21, target)}, "p.rules[0].onPodConditions: has 21 conditions, and Kubernetes allows at most 20; split the rule"},
		"status left out":        {[]batchv1.PodFailurePolicyRule{conditions(1, batchv1.PodFailurePolicyOnPodConditionsPattern{Type: "A"})}, ""},
		"status that is none":    {[]batchv1.PodFailurePolicyRule{conditions(1, batchv1.PodFailurePolicyOnPodConditionsPattern{Type: "A", Status: "true"})}, `p.rules[0].onPodConditions[0].status: "true" is no status; use True, False or Unknown`},
		"condition without type": {[]batchv1.PodFailurePolicyRule{conditions(1, batchv1.PodFailurePolicyOnPodConditionsPattern{})}, `p.rules[0].onPodConditions[0].type: "" is no type of condition: name part must be non-empty`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if all := PolicyFaults(&batchv1.PodFailurePolicy{Rules: c.rules}, pod, "p"); len(all) > 0 {
				got = all[0].Field + ": " + all[0].Text
			}
			if got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}
