package validation

// This file tests what is said of a StreamingJobTemplate, whole.

import (
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
)

func TestCreateTemplate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *v1.StreamingJobTemplate)
		want   said
	}{
		"good": {func(*v1.StreamingJobTemplate) {}, said{}},
		"all that would break the rules, at once": {func(t *v1.StreamingJobTemplate) {
			job := &t.Spec.Spec
			job.Parallelism, job.Completions = ptr.To[int32](2), ptr.To[int32](3)
			job.CompletionMode = ptr.To(batchv1.IndexedCompletion)
			job.Selector, job.ManualSelector = &metav1.LabelSelector{}, ptr.To(true)
			job.Suspend, job.ManagedBy = ptr.To(true), ptr.To("example.com/other")
			job.SuccessPolicy = &batchv1.SuccessPolicy{}
			job.BackoffLimitPerIndex, job.MaxFailedIndexes = ptr.To[int32](1), ptr.To[int32](1)
			job.BackoffLimit, job.ActiveDeadlineSeconds = ptr.To[int32](-1), ptr.To[int64](-1)
			job.Template.Spec.RestartPolicy = corev1.RestartPolicyAlways
		}, refused(
			"spec.spec.parallelism: Invalid value: 2: must be 1: a stream has one writer; remove it",
			"spec.spec.completions: Invalid value: 3: must be 1: a stream has one writer; remove it",
			`spec.spec.completionMode: Invalid value: "Indexed": must be NonIndexed: a stream has one writer; remove it`,
			"spec.spec.selector: Invalid value: must not be set: Kubernetes chooses it, so that a Job never takes another one's pods; remove it",
			"spec.spec.manualSelector: Invalid value: true: must not be true: a Job could take another one's pods; remove it",
			"spec.spec.suspend: Invalid value: true: must not be true: the operator decides when a Job runs; suspend the Stream by its spec.suspended",
			`spec.spec.managedBy: Invalid value: "example.com/other": must not name another controller: the operator relies on the Job controller's promises; remove it`,
			"spec.spec.successPolicy: Invalid value: must not be set: the operator decides by the main container whether a job has succeeded; remove it",
			"spec.spec.backoffLimitPerIndex: Invalid value: 1: must not be set: it belongs to Indexed Jobs; use backoffLimit",
			"spec.spec.maxFailedIndexes: Invalid value: 1: must not be set: it belongs to Indexed Jobs; remove it",
			"spec.spec.backoffLimit: Invalid value: -1: must not be negative; use 0 for no retry",
			"spec.spec.activeDeadlineSeconds: Invalid value: -1: must not be negative; remove it for no deadline",
			`spec.spec.template.spec.restartPolicy: Invalid value: "Always": must be Never, not Always: a podFailurePolicy needs it; set it to Never or remove it`,
		)},
		"no containers": {func(t *v1.StreamingJobTemplate) { t.Spec.Spec.Template.Spec.Containers = nil }, refused(
			"spec.spec.template.spec.containers: Required value: must hold at least one container: the plugin's",
		)},
		"reserved names": {func(t *v1.StreamingJobTemplate) {
			pod := &t.Spec.Spec.Template.Spec
			pod.InitContainers = []corev1.Container{{Name: "init", Env: []corev1.EnvVar{{Name: "A"}, {Name: "STREAMCONTEXT__SPEC"}}}}
			pod.Containers[1].EnvFrom = []corev1.EnvFromSource{{Prefix: "STREAMCONTEXT__X"}}
		}, refused(
			`spec.spec.template.spec.initContainers[0].env[1].name: Invalid value: "STREAMCONTEXT__SPEC": STREAMCONTEXT__SPEC: names that begin with STREAMCONTEXT__ are the operator's; rename it`,
			`spec.spec.template.spec.containers[1].envFrom[0].prefix: Invalid value: "STREAMCONTEXT__X": STREAMCONTEXT__X: names that begin with STREAMCONTEXT__ are the operator's; choose another prefix`,
		)},
		"labels of a live Job": {func(t *v1.StreamingJobTemplate) {
			t.Spec.Labels = map[string]string{"batch.kubernetes.io/job-name": "x"}
			t.Spec.Spec.Template.Labels = map[string]string{"app": "a b"}
		}, refused(
			`spec.metadata.labels[batch.kubernetes.io/job-name]: Invalid value: "x": is set by Kubernetes on every Job anew; remove it`,
			`spec.spec.template.metadata.labels[app]: Invalid value: "a b": is no valid label: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
		)},
		"a policy that Kubernetes would refuse": {func(t *v1.StreamingJobTemplate) {
			t.Spec.Spec.PodFailurePolicy = ownPolicy(codes("In", "plugin", 300, 2))
		}, refused(
			"spec.spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 2: 2 comes after 300; sort the exit codes, each once",
		)},
		"a policy without the rule about disruptions": {func(t *v1.StreamingJobTemplate) {
			t.Spec.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{codes("In", "", 7)}}
		}, warned("spec.spec.podFailurePolicy: has no rule that ignores the pod condition DisruptionTarget, so a pod that is evicted or deleted counts as a failure; add one unless you mean it")},
		"a TTL": {func(t *v1.StreamingJobTemplate) { t.Spec.Spec.TTLSecondsAfterFinished = ptr.To[int32](60) }, warned(
			"spec.spec.ttlSecondsAfterFinished: is held back until the outcome of a Job has been recorded; a failed Job and its logs are gone 60 seconds after that, so leave it out if you want to read them",
		)},
		"privileged, before anybody uses it": {func(t *v1.StreamingJobTemplate) { t.Spec.Spec.Template.Spec.HostNetwork = true }, warned(
			"spec.spec.template.spec: has host namespaces (hostNetwork=true), which level baseline forbids; only a StreamClass whose spec.podSecurityLevel is privileged can use it",
		)},
		"being deleted": {func(t *v1.StreamingJobTemplate) {
			t.DeletionTimestamp, t.Spec.Spec.Template.Spec.Containers = &metav1.Time{}, nil
		}, said{}},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.change(w.template)
			if got := told(Template(nil, w.template, TemplateSurroundings{})); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestUpdateTemplate(t *testing.T) {
	running := func(mode v1.Mode) func(w *world) {
		return func(w *world) { w.stream.Status.Job = &v1.JobRecord{Name: "orders-1", Mode: mode} }
	}
	image := func(w *world) { w.pod().Containers[0].Image = "plugin:2" }
	const hostPath = `spec.spec.template.spec: Invalid value: has host namespaces (hostIPC=true), which level baseline of StreamClass postgres forbids; change the template, or have the class's spec.podSecurityLevel changed`
	for name, c := range map[string]struct {
		before func(w *world)
		change func(w *world)
		want   said
	}{
		"nothing":                {running(v1.ModeStream), func(*world) {}, said{}},
		"labels":                 {running(v1.ModeStream), func(w *world) { w.template.Labels = map[string]string{"a": "b"} }, said{}},
		"what defaulting writes": {func(w *world) { running(v1.ModeStream)(w); w.pod().RestartPolicy = "" }, func(w *world) { DefaultTemplate(w.template) }, said{}},
		"the image":              {running(v1.ModeStream), image, warned("this edit restarts the streaming jobs of sales/orders")},
		"the image, suspended":   {running(v1.ModeStream), func(w *world) { image(w); w.stream.Spec.Suspended = true }, said{}},
		"the image, no job":      {func(*world) {}, image, said{}},
		"the image, other's":     {running(v1.ModeBackfill), image, said{}},
		"the image, of a backfill": {func(w *world) {
			running(v1.ModeBackfill)(w)
			w.stream.Spec.BackfillJobTemplateRef = w.stream.Spec.JobTemplateRef
		}, image, warned("this edit waits for the running backfills of sales/orders, unless their spec.backfill.onSpecChange is Restart")},
		"below its class's level": {running(v1.ModeStream), func(w *world) { w.pod().HostIPC = true }, refused(hostPath)},
		"without the main container": {running(v1.ModeStream), func(w *world) { w.pod().Containers[0].Name = "main" }, refused(
			"spec.spec.template.spec.containers: Invalid value: must hold a container named plugin, the main one of StreamClass postgres, and holds main, exporter; rename one, or change the class's spec.containerName",
		)},
		"without a container that a stream's policy names": {func(w *world) {
			running(v1.ModeStream)(w)
			w.stream.Spec.PodFailurePolicy = ownPolicy(codes("In", "exporter", 1))
		}, func(w *world) { w.pod().Containers = w.pod().Containers[:1] }, warned(
			"Stream sales/orders: spec.podFailurePolicy.rules[0].onExitCodes.containerName: the template has no container exporter, it has plugin; name one of these",
			"this edit restarts the streaming jobs of sales/orders",
		)},
	} {
		t.Run(name, func(t *testing.T) {
			w := good(t)
			c.before(w)
			old := w.template.DeepCopy()
			c.change(w)
			users := []TemplateUser{{Stream: w.stream, Class: w.class}, {Stream: &v1.Stream{}}}
			if got := told(Template(old, w.template, TemplateSurroundings{Users: users})); !reflect.DeepEqual(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestFew(t *testing.T) {
	if got, want := few([]string{"g", "f", "e", "d", "c", "b", "a"}), "a, b, c, d, e and 2 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTemplateJob(t *testing.T) {
	w := good(t)
	w.template.Name = strings.Repeat("a", 253)
	job := TemplateJob(w.template)
	if job == nil || job.Namespace != "sales" || len(job.Name) > 52 || len(job.OwnerReferences) > 0 || !*job.Spec.Suspend {
		t.Errorf("got %+v", job)
	}
	w.pod().Containers = nil
	if job := TemplateJob(w.template); job != nil {
		t.Errorf("refused, and built: %+v", job)
	}
}

func TestTemplateSecrets(t *testing.T) {
	w := good(t)
	pod := w.pod()
	ref := func(name string) *corev1.LocalObjectReference { return &corev1.LocalObjectReference{Name: name} }
	pod.InitContainers = []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: *ref("init")}}, {}}}}
	pod.Containers[0].Env = []corev1.EnvVar{{}, {ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: *ref("env")}}}}
	pod.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: *ref("debug")}}},
	}}}
	pod.ImagePullSecrets = []corev1.LocalObjectReference{*ref("pull"), *ref("pull"), {}}
	for _, source := range []corev1.VolumeSource{
		{Secret: &corev1.SecretVolumeSource{SecretName: "volume"}},
		{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{}, {Secret: &corev1.SecretProjection{LocalObjectReference: *ref("projected")}}}}},
		{CSI: &corev1.CSIVolumeSource{NodePublishSecretRef: ref("csi")}},
		{FlexVolume: &corev1.FlexVolumeSource{SecretRef: ref("flex")}},
		{AzureFile: &corev1.AzureFileVolumeSource{SecretName: "azure"}},
		{CephFS: &corev1.CephFSVolumeSource{SecretRef: ref("ceph")}},
		{Cinder: &corev1.CinderVolumeSource{SecretRef: ref("cinder")}},
		{ISCSI: &corev1.ISCSIVolumeSource{SecretRef: ref("iscsi")}},
		{RBD: &corev1.RBDVolumeSource{SecretRef: ref("rbd")}},
		{ScaleIO: &corev1.ScaleIOVolumeSource{SecretRef: ref("scaleio")}},
		{StorageOS: &corev1.StorageOSVolumeSource{SecretRef: ref("storageos")}},
		{EmptyDir: &corev1.EmptyDirVolumeSource{}},
	} {
		pod.Volumes = append(pod.Volumes, corev1.Volume{VolumeSource: source})
	}
	want := []string{"azure", "ceph", "cinder", "csi", "debug", "env", "flex", "init", "iscsi", "projected", "pull", "rbd", "scaleio", "storageos", "volume"}
	if got := TemplateSecrets(w.template); !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestEverySecretOfAPodIsFound: a version of Kubernetes that lets a pod name a
// Secret in one more place makes this fail.
func TestEverySecretOfAPodIsFound(t *testing.T) {
	var found []string
	var walk func(path string, of reflect.Type, above []reflect.Type)
	walk = func(path string, of reflect.Type, above []reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice || of.Kind() == reflect.Map {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || len(above) > 12 {
			return
		}
		for _, a := range above {
			if a == of {
				return
			}
		}
		for i := range of.NumField() {
			f := of.Field(i)
			at := path + "." + f.Name
			if strings.Contains(f.Name, "Secret") && f.Name != "SecretNamespace" {
				found = append(found, at)
				continue
			}
			walk(at, f.Type, append(above, of))
		}
	}
	walk("", reflect.TypeFor[corev1.VolumeSource](), nil)
	// SecretFile is a path on the node.
	want := []string{
		".Secret", ".ISCSI.SecretRef", ".RBD.SecretRef", ".FlexVolume.SecretRef", ".Cinder.SecretRef", ".CephFS.SecretFile", ".CephFS.SecretRef", ".AzureFile.SecretName",
		".Projected.Sources.Secret", ".ScaleIO.SecretRef", ".StorageOS.SecretRef", ".CSI.NodePublishSecretRef",
	}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("\n got %q\nwant %q", found, want)
	}
}
