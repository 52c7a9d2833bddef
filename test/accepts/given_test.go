package accepts

// This file draws classes, templates, streams and requests, right ones and wrong ones.

import (
	"encoding/json"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

// draw draws the parts of one world.
type draw struct{ *rapid.T }

// one in n times.
func (d draw) one(n int, label string) bool { return rapid.IntRange(1, n).Draw(d.T, label) == n }

func oneOf[T any](d draw, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(d.T, label)
}

// mostly right, one time in n wrong.
func mostly[T any](d draw, n int, label string, right, wrong []T) T {
	if d.one(n, label+" is wrong") {
		return oneOf(d, label, wrong...)
	}
	return oneOf(d, label, right...)
}

// maybe is nil as often as not.
func maybe[T any](d draw, label string, value func() T) *T {
	if !d.one(2, label) {
		return nil
	}
	return ptr.To(value())
}

var long = strings.Repeat("a-long-name-", 30)

// name is one that the API server takes of an object: a DNS subdomain, up to the limit of 253.
func (d draw) name(label string) string {
	return oneOf(d, label, "orders", "o", "a.b.c", "0", "x--y", long[:51], long[:52]+"0", long[:63], long[:62]+"z", "a."+long[:60]+"z",
		strings.Repeat("a.", 31)+"b", long[:64]+"z", strings.Repeat("abc.", 62)+"z")
}

func (d draw) labels(label string) map[string]string {
	if !d.one(2, label) {
		return nil
	}
	return map[string]string{
		mostly(d, 30, label+" key",
			[]string{"team", "a/b", "example.com/" + long[:62] + "z", "app.kubernetes.io/name", "A", v1.LabelStreamID, v1.LabelManagedBy},
			[]string{"", "/", "a/", "-", "a b", "a/b/c", long[:64] + "z", "job-name", "batch.kubernetes.io/controller-uid", "Ä"}): mostly(d, 30, label+" value",
			[]string{"", "x", "A.b_c-1", long[:62] + "z"}, []string{"-", "a b", long[:63] + "z", "ü"}),
	}
}

func (d draw) annotations(label string) map[string]string {
	if !d.one(2, label) {
		return nil
	}
	size := oneOf(d, label+" size", 0, 1, 1000)
	if d.one(20, label+" near the limit") {
		size = rapid.IntRange(250<<10, 260<<10).Draw(d.T, label+" size")
	}
	return map[string]string{
		mostly(d, 30, label+" key", []string{"note", "A/B", "example.com/x", v1.AnnotationRun, v1.AnnotationTTL}, []string{"", "/", "a b", long[:64] + "z"}): strings.Repeat("ä", size/2),
	}
}

// conditions, exit codes and rules, up to the limits and over them.
func (d draw) policy(label string, containers ...string) *batchv1.PodFailurePolicy {
	policy := &batchv1.PodFailurePolicy{}
	most := 3
	if d.one(15, label+" many") {
		most = 22
	}
	for range rapid.IntRange(0, most).Draw(d.T, label+" rules") {
		rule := batchv1.PodFailurePolicyRule{Action: mostly(d, 40, label+" action",
			[]batchv1.PodFailurePolicyAction{"FailJob", "Ignore", "Count"}, []batchv1.PodFailurePolicyAction{"", "FailIndex", "ignore"})}
		exits := d.one(2, label+" on exit codes")
		both := d.one(50, label+" both or none")
		if exits {
			rule.OnExitCodes = d.onExitCodes(label, containers)
		}
		if exits == both {
			rule.OnPodConditions = d.onConditions(label)
		}
		policy.Rules = append(policy.Rules, rule)
	}
	return policy
}

func (d draw) onExitCodes(label string, containers []string) *batchv1.PodFailurePolicyOnExitCodesRequirement {
	on := &batchv1.PodFailurePolicyOnExitCodesRequirement{
		Operator: mostly(d, 30, label+" operator", []batchv1.PodFailurePolicyOnExitCodesOperator{"In", "NotIn"}, []batchv1.PodFailurePolicyOnExitCodesOperator{"", "in"}),
		ContainerName: maybe(d, label+" container", func() string {
			return mostly(d, 30, label+" container", containers, []string{"", "nobody"})
		}),
	}
	if d.one(20, label+" any codes") {
		on.Values = rapid.SliceOfN(rapid.Int32Range(-1, 3), 0, 4).Draw(d.T, label+" codes")
		return on
	}
	count := oneOf(d, label+" count", 1, 1, 2, 3, 255)
	if d.one(30, label+" too many") {
		count = 256
	}
	first := rapid.Int32Range(1, 300).Draw(d.T, label+" first")
	for i := range count {
		on.Values = append(on.Values, first+int32(i))
	}
	return on
}

func (d draw) onConditions(label string) []batchv1.PodFailurePolicyOnPodConditionsPattern {
	count := oneOf(d, label+" conditions", 1, 1, 2, 20)
	if d.one(40, label+" too many conditions") {
		count = 21
	}
	var on []batchv1.PodFailurePolicyOnPodConditionsPattern
	for range count {
		on = append(on, batchv1.PodFailurePolicyOnPodConditionsPattern{
			Type: mostly(d, 100, label+" type", []corev1.PodConditionType{"DisruptionTarget", "ConfigIssue", "example.com/Own"},
				[]corev1.PodConditionType{"", "a b", "a/b/c"}),
			Status: mostly(d, 100, label+" status", []corev1.ConditionStatus{"", "True", "False", "Unknown"}, []corev1.ConditionStatus{"true", "No"}),
		})
	}
	return on
}

func (d draw) class() *v1.StreamClass {
	c := plainClass()
	c.Spec.PodSecurityLevel = oneOf[v1.PodSecurityLevel](d, "level", "", "privileged", "baseline")
	c.Spec.ContainerName = mostly(d, 20, "main container", []string{"", "plugin"}, []string{"a_b", "nobody", long})
	if d.one(2, "class has no secrets") {
		c.Spec.SecretRefs = nil
	}
	if d.one(5, "class has a policy") {
		c.Spec.PodFailurePolicy = d.policy("class policy", "plugin")
	}
	for range rapid.IntRange(0, 3).Draw(d.T, "failure classes") {
		f := v1.FailureClass{Name: oneOf(d, "failure class", "a", "b", "c", "d", "e"), Action: oneOf(d, "failure action", v1.ActionIgnore, v1.ActionFail, v1.ActionBackfill)}
		first := rapid.Int32Range(0, 255).Draw(d.T, "failure code")
		for i := range oneOf[int32](d, "failure codes", 0, 1, 1, 2, 3, 200) {
			f.ExitCodes = append(f.ExitCodes, first+i)
		}
		c.Spec.FailureClasses = append(c.Spec.FailureClasses, f)
	}
	return c
}

func (d draw) template(namespace, name string) *v1.StreamingJobTemplate {
	t := &v1.StreamingJobTemplate{}
	t.Namespace, t.Name = namespace, name
	t.Spec.Labels, t.Spec.Annotations = d.labels("job labels"), d.annotations("job annotations")
	seconds := func(label string) func() int64 {
		return func() int64 { return mostly(d, 20, label, []int64{0, 1, 3600, 1 << 40}, []int64{-1}) }
	}
	counts := func(label string, right ...int32) func() int32 {
		return func() int32 { return mostly(d, 20, label, right, []int32{-1}) }
	}
	job := &t.Spec.Spec
	job.BackoffLimit = maybe(d, "backoff", counts("backoff", 0, 6, 1<<30))
	job.ActiveDeadlineSeconds = maybe(d, "deadline", seconds("deadline"))
	job.TTLSecondsAfterFinished = maybe(d, "ttl", counts("ttl", 0, 600))
	job.Parallelism, job.Completions = maybe(d, "parallelism", counts("parallelism", 1)), maybe(d, "completions", counts("completions", 1))
	job.CompletionMode = maybe(d, "mode", func() batchv1.CompletionMode {
		return mostly(d, 20, "mode", []batchv1.CompletionMode{"NonIndexed"}, []batchv1.CompletionMode{"Indexed", "", "x"})
	})
	job.Suspend = maybe(d, "suspend", func() bool { return d.one(20, "suspend") })
	job.ManualSelector = maybe(d, "manual selector", func() bool { return d.one(20, "manual selector") })
	job.ManagedBy = maybe(d, "managed by", func() string {
		return mostly(d, 20, "managed by", []string{"kubernetes.io/job-controller"}, []string{"", "example.com/me"})
	})
	job.PodReplacementPolicy = maybe(d, "replacement", func() batchv1.PodReplacementPolicy {
		return oneOf(d, "replacement", batchv1.Failed, batchv1.TerminatingOrFailed, "x")
	})
	if d.one(30, "Indexed") {
		job.BackoffLimitPerIndex, job.MaxFailedIndexes = ptr.To[int32](1), ptr.To[int32](1)
	}
	job.Template.Labels, job.Template.Annotations = d.labels("pod labels"), d.annotations("pod annotations")
	job.Template.Spec = d.pod()
	if d.one(4, "template has a policy") {
		job.PodFailurePolicy = d.policy("template policy", "plugin", "first")
	}
	return t
}

func (d draw) pod() corev1.PodSpec {
	pod := corev1.PodSpec{
		Containers:            []corev1.Container{d.container("plugin")},
		RestartPolicy:         mostly(d, 40, "restart", []corev1.RestartPolicy{"", "Never"}, []corev1.RestartPolicy{"OnFailure", "Always", "x"}),
		ActiveDeadlineSeconds: maybe(d, "pod deadline", func() int64 { return mostly(d, 30, "pod deadline", []int64{1, 60}, []int64{0}) }),
	}
	if d.one(3, "init container") {
		pod.InitContainers = append(pod.InitContainers, d.container("first"))
	}
	if d.one(4, "sidecar") {
		sidecar := d.container("sidecar")
		sidecar.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
		pod.InitContainers = append(pod.InitContainers, sidecar)
	}
	if d.one(3, "second container") {
		pod.Containers = append(pod.Containers, d.container(mostly(d, 20, "second container", []string{"exporter"}, []string{"plugin", "", "A"})))
	}
	if d.one(2, "volume") {
		volume := corev1.Volume{Name: mostly(d, 30, "volume", []string{"data"}, []string{"", "a.b"})}
		if d.one(2, "volume of a Secret") {
			volume.Secret = &corev1.SecretVolumeSource{SecretName: "pg"}
		} else {
			volume.EmptyDir = &corev1.EmptyDirVolumeSource{}
		}
		pod.Volumes = append(pod.Volumes, volume)
		pod.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: mostly(d, 30, "mount", []string{volume.Name}, []string{"other"}), MountPath: "/data"}}
	}
	if d.one(3, "pod security") {
		pod.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true), FSGroup: ptr.To(mostly(d, 20, "group", []int64{0, 65532}, []int64{-1}))}
	}
	if d.one(60, "ephemeral") {
		pod.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "x", Image: "x"}}}
	}
	return pod
}

func (d draw) container(name string) corev1.Container {
	c := corev1.Container{Name: name, Image: mostly(d, 60, "image", []string{"plugin:1", "localhost/a/b@sha256:0"}, []string{""})}
	if d.one(2, "env") {
		c.Env = append(c.Env, corev1.EnvVar{
			Name:  mostly(d, 40, "env", []string{"A", "a.b-c", "_1", "stream"}, []string{"", "A=B", v1.EnvPrefix + "X", v1.EnvStreamID}),
			Value: oneOf(d, "env value", "", "$(STREAMCONTEXT__SPEC)", "$$"),
		})
	}
	if d.one(3, "env from") {
		c.EnvFrom = append(c.EnvFrom, corev1.EnvFromSource{
			Prefix:    mostly(d, 40, "prefix", []string{"", "PG_"}, []string{v1.EnvPrefix, "A="}),
			SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: mostly(d, 40, "secret", []string{"pg", "other"}, []string{"", "A"})}},
		})
	}
	if d.one(2, "resources") {
		least, most := resource.MustParse("1"), resource.MustParse("2")
		if d.one(30, "resources are wrong") {
			least, most = most, least
		}
		c.Resources = corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: least}, Limits: corev1.ResourceList{corev1.ResourceCPU: most}}
	}
	if d.one(3, "security") {
		c.SecurityContext = &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(d.one(4, "escalation")), RunAsUser: ptr.To(mostly(d, 40, "user", []int64{0, 65532}, []int64{-1})),
			Privileged: ptr.To(d.one(20, "privileged")),
		}
	}
	return c
}

// parts of time zones: of right ones, and of what a file system takes for one.
var zoneParts = []string{"Europe", "Copenhagen", "UTC", "Etc", "GMT+5", "America", "Argentina", "ComodRivadavia", "US", "East-Indiana", ".", "..", "", "Local", "zone1970.tab"}

func (d draw) timeZone() string {
	if d.one(5, "any zone") {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(zoneParts), 1, 3).Draw(d.T, "zone"), "/")
	}
	return mostly(d, 10, "zone", []string{"", "UTC", "Europe/Copenhagen", "Etc/GMT+5", "America/Argentina/ComodRivadavia", "US/East-Indiana"},
		[]string{"Europe//Copenhagen", "./UTC", "local", "Atlantis"})
}

func (d draw) schedule() string {
	if d.one(6, "any schedule") {
		part := rapid.SampledFrom([]string{"*", "0", "*/5", "1-5", "1,2", "MON", "JAN", "?", "60", "", "5/", "TZ=UTC", "7", "31", "a"})
		return strings.Join(rapid.SliceOfN(part, 4, 6).Draw(d.T, "schedule"), " ")
	}
	return mostly(d, 6, "schedule", []string{"*/15 * * * *", "0 0 31 2 *", "@hourly", "@every 1h", "0 12 * JAN-MAR MON"},
		[]string{"", " ", "@every 1", "@reboot", "CRON_TZ=UTC * * * * *", "TZ=0", "* * * * * *"})
}

func (d draw) stream() *v1.Stream {
	s := plainStream()
	s.Name = d.name("stream")
	s.UID = types.UID(oneOf(d, "uid", "0e1c7c2e-6f0a-4d5e-9b9e-0d4f1a2b3c4d", "ffffffff-ffff-4fff-bfff-ffffffffffff"))
	s.Annotations = d.annotations("stream annotations")
	secret := mostly(d, 15, "credentials", []string{"pg", "other", "a.b"}, []string{"", "A", "a..b", strings.Repeat("a.", 127) + "z"})
	source := map[string]any{"table": oneOf(d, "table", "orders", "$(HOME) $$", "ä\u0000", strings.Repeat("x", 95<<10)), "credentials": map[string]string{"name": secret}}
	s.Spec = v1.StreamSpec{
		StreamClass: "postgres", Suspended: d.one(2, "suspended"),
		Source: raw(source), Sink: raw(map[string]string{"url": "s3://x"}),
	}
	if d.one(3, "scheduled") {
		s.Spec.Schedule = ptr.To(d.schedule())
		s.Spec.TimeZone = maybe(d, "time zone", d.timeZone)
	}
	if d.one(3, "stream has a policy") {
		s.Spec.PodFailurePolicy = d.policy("stream policy", "plugin")
	}
	return s
}

func (d draw) request(stream string) *v1.BackfillRequest {
	q := &v1.BackfillRequest{}
	q.Namespace, q.Name, q.UID = "sales", d.name("request"), "77f9a9b5-58c3-4a3c-8a5e-0d2f6a2d7b11"
	q.Spec.StreamID = stream
	if d.one(2, "payload") {
		q.Spec.Payload = raw(map[string]string{"from": oneOf(d, "payload", "2024-01-01", "$(A)", strings.Repeat("y", 97<<10))})
	}
	return q
}

func raw(object any) *runtime.RawExtension {
	b, err := json.Marshal(object)
	if err != nil {
		panic(err) // strings and maps of them
	}
	return &runtime.RawExtension{Raw: b}
}

func plainClass() *v1.StreamClass {
	c := &v1.StreamClass{}
	c.Name, c.UID, c.Generation = "postgres", "6f0a7c2e-0e1c-4d5e-9b9e-0d4f1a2b3c4d", 1
	c.Spec = v1.StreamClassSpec{
		APIVersion: "v1", KindRef: v1.KindStream, PluralName: "streams",
		AllowedTemplateNamespaces: []string{"arcane"},
		JobTemplateRef:            &v1.TemplateReference{Namespace: "arcane", Name: "std"},
		BackfillJobTemplateRef:    &v1.TemplateReference{Namespace: "arcane", Name: "big"},
		SecretRefs:                []string{"source.credentials"},
	}
	return c
}

func plainTemplate(name string) *v1.StreamingJobTemplate {
	t := &v1.StreamingJobTemplate{}
	t.Namespace, t.Name = "arcane", name
	t.Spec.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "plugin", Image: "plugin:1"}}}
	return t
}

func plainStream() *v1.Stream {
	s := &v1.Stream{}
	s.Namespace, s.Name, s.Spec.StreamClass = "sales", "orders", "postgres"
	return s
}
