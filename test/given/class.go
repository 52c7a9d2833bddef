// Classes of the scripted plugin, and the templates that they name.

package given

import (
	"encoding/json"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/test/scripted/script"
)

// The scripted plugin as `make image` packs it.
const (
	// ScriptedImage is its image. Nothing can pull it: a node gets it loaded.
	ScriptedImage = "localhost/arcane-plugin-scripted:dev"
	// ScriptedProgram is the plugin's program in that image.
	ScriptedProgram = "/plugin-scripted"
	// Container is the name of the plugin's container in a template's pod.
	Container = "plugin"
)

// MainContainer is the index of the plugin's container: the one of that name, else the first.
func MainContainer(containers []corev1.Container) int {
	return max(0, slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == Container }))
}

// ClassOption changes a StreamClass that is being built.
type ClassOption func(*streamingv1.StreamClass)

// Class registers the scripted plugin. Its streams use the template of that name
// in their own namespace.
func Class(name, template string, options ...ClassOption) *streamingv1.StreamClass {
	c := &streamingv1.StreamClass{
		TypeMeta: metav1.TypeMeta{
			APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindStreamClass,
		},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: streamingv1.StreamClassSpec{
			APIGroupRef:    streamingv1.GroupVersion.Group,
			APIVersion:     streamingv1.GroupVersion.Version,
			KindRef:        streamingv1.KindStream,
			PluralName:     "streams",
			JobTemplateRef: &streamingv1.TemplateReference{Name: template},
		},
	}
	for _, option := range options {
		option(c)
	}
	return c
}

// SecretRefs names the fields of a stream's spec that name Secrets.
func SecretRefs(paths ...string) ClassOption {
	return func(c *streamingv1.StreamClass) { c.Spec.SecretRefs = paths }
}

// FailureClass gives exit codes a name and a consequence, beside the default ones.
func FailureClass(name string, action streamingv1.FailureAction, codes ...int32) ClassOption {
	return func(c *streamingv1.StreamClass) {
		if c.Spec.FailureClasses == nil {
			c.Spec.FailureClasses = []streamingv1.FailureClass{
				{Name: "graceful", ExitCodes: []int32{143}, Action: streamingv1.ActionIgnore},
				{Name: "transient", ExitCodes: []int32{2}, Action: streamingv1.ActionIgnore},
			}
		}
		c.Spec.FailureClasses = append(c.Spec.FailureClasses, streamingv1.FailureClass{Name: name, ExitCodes: codes, Action: action})
	}
}

// Completion says by what the class's plugin marks a completion.
func Completion(mark streamingv1.CompletionMark) ClassOption {
	return func(c *streamingv1.StreamClass) { c.Spec.Completion = &streamingv1.Completion{Mark: mark} }
}

// MainContainerOf names the main container of the class's templates.
func MainContainerOf(name string) ClassOption {
	return func(c *streamingv1.StreamClass) { c.Spec.ContainerName = name }
}

// TemplateOption changes a StreamingJobTemplate that is being built.
type TemplateOption func(*streamingv1.StreamingJobTemplate)

// Template runs the scripted plugin. A failed pod is tried once more, and a pod
// that ignores SIGTERM is killed after five seconds.
func Template(namespace, name string, options ...TemplateOption) *streamingv1.StreamingJobTemplate {
	backoffLimit, grace, no, yes, user := int32(1), int64(5), false, true, int64(65532)
	t := &streamingv1.StreamingJobTemplate{
		TypeMeta: metav1.TypeMeta{
			APIVersion: streamingv1.GroupVersion.String(), Kind: streamingv1.KindStreamingJobTemplate,
		},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
	}
	t.Spec.Spec.BackoffLimit = &backoffLimit
	t.Spec.Spec.Template.Spec = corev1.PodSpec{
		RestartPolicy:                 corev1.RestartPolicyNever,
		TerminationGracePeriodSeconds: &grace,
		AutomountServiceAccountToken:  &no,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: &yes, RunAsUser: &user,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name:            Container,
			Image:           ScriptedImage,
			ImagePullPolicy: corev1.PullIfNotPresent,
			Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{
					corev1.ResourceCPU: resource.MustParse("1m"), corev1.ResourceMemory: resource.MustParse("8Mi"),
				},
			},
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
	for _, option := range options {
		option(t)
	}
	return t
}

// BackoffLimit is how many pods may fail before their Job does.
func BackoffLimit(limit int32) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.BackoffLimit = &limit }
}

// ActiveDeadline is how many seconds the Job may run.
func ActiveDeadline(seconds int64) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.ActiveDeadlineSeconds = &seconds }
}

// Scratch is where ScratchVolume is mounted.
const Scratch = "/scratch"

// ScratchVolume gives the plugin an emptyDir to write to, with a limit where it is not empty.
func ScratchVolume(limit string) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) {
		volume := &corev1.EmptyDirVolumeSource{}
		if limit != "" {
			size := resource.MustParse(limit)
			volume.SizeLimit = &size
		}
		pod := &t.Spec.Spec.Template.Spec
		pod.Volumes = append(pod.Volumes, corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: volume}})
		pod.Containers[0].VolumeMounts = append(pod.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "scratch", MountPath: Scratch})
	}
}

// StorageLimit limits the ephemeral storage of the plugin's container.
func StorageLimit(limit string) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) {
		t.Spec.Spec.Template.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
			corev1.ResourceEphemeralStorage: resource.MustParse(limit),
		}
	}
}

// failing is a probe of a port on which nobody listens.
func failing() *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(9)}},
		PeriodSeconds: 1, FailureThreshold: 1, InitialDelaySeconds: 1,
	}
}

// FailingLivenessProbe lets the kubelet end the plugin's container after a second.
func FailingLivenessProbe(t *streamingv1.StreamingJobTemplate) {
	t.Spec.Spec.Template.Spec.Containers[0].LivenessProbe = failing()
}

// FailingStartupProbe does so, too.
func FailingStartupProbe(t *streamingv1.StreamingJobTemplate) {
	t.Spec.Spec.Template.Spec.Containers[0].StartupProbe = failing()
}

// PatientLivenessProbe is one that would end nothing while a story is told.
func PatientLivenessProbe(t *streamingv1.StreamingJobTemplate) {
	probe := failing()
	probe.InitialDelaySeconds = 3600
	t.Spec.Spec.Template.Spec.Containers[0].LivenessProbe = probe
}

// Beside adds a container beside the plugin's, which does as its script says and not as the stream's.
func Beside(name string, run script.Run) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) {
		pod := &t.Spec.Spec.Template.Spec
		pod.Containers = append(pod.Containers, besideOf(&pod.Containers[0], name, run))
	}
}

// Before adds such a container in front of the plugin's, which the class then has to name.
func Before(name string, run script.Run) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) {
		pod := &t.Spec.Spec.Template.Spec
		pod.Containers = append([]corev1.Container{besideOf(&pod.Containers[0], name, run)}, pod.Containers...)
	}
}

func besideOf(plugin *corev1.Container, name string, run script.Run) corev1.Container {
	text, err := json.Marshal(run)
	if err != nil {
		panic(fmt.Sprintf("given: not JSON: %v", err))
	}
	c := *plugin.DeepCopy()
	c.Name, c.LivenessProbe, c.StartupProbe, c.VolumeMounts = name, nil, nil, nil
	c.Env = []corev1.EnvVar{{Name: script.EnvBeside, Value: string(text)}}
	return c
}

// LimitRange gives every container of the namespace that has no limit of its own one on its ephemeral storage.
func LimitRange(namespace, storage string) *corev1.LimitRange {
	return &corev1.LimitRange{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "storage"},
		Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
			Type:    corev1.LimitTypeContainer,
			Default: corev1.ResourceList{corev1.ResourceEphemeralStorage: resource.MustParse(storage)},
		}}},
	}
}

// Environment adds a variable to the plugin's container.
func Environment(name, value string) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) {
		c := &t.Spec.Spec.Template.Spec.Containers[0]
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
}

// TTL deletes the Job that many seconds after its end.
func TTL(seconds int32) TemplateOption {
	return func(t *streamingv1.StreamingJobTemplate) { t.Spec.Spec.TTLSecondsAfterFinished = &seconds }
}

// Job is somebody else's Job. It makes no pods, as nobody would play them.
func Job(namespace, name string) *batchv1.Job {
	t, none := Template(namespace, name), int32(0)
	t.Spec.Spec.Parallelism = &none
	return &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "somebody-else"}},
		Spec:       t.Spec.Spec,
	}
}
