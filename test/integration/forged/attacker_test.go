package forged_test

// This file makes attackers, what they forge, and what the stories ask of it afterwards.

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	streamingv1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/jobspec"
	"github.com/arcane-streaming/arcane-operator/test/given"
	"github.com/arcane-streaming/arcane-operator/test/law"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

const (
	// forgedMark is an annotation on each pod that an attacker's template makes.
	forgedMark = "example.com/forged"
	// finalizer is somebody's who does not come.
	finalizer = "example.com/hold"
	onceAYear = "0 0 1 1 *"
)

// to is a right: verbs and resources apart by commas.
func to(verbs, group, resources string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		Verbs: strings.Split(verbs, ","), APIGroups: []string{group}, Resources: strings.Split(resources, ","),
	}
}

// attacker is a user with these rights in the story's namespace and no others.
func attacker(ctx context.Context, w *story.World, may ...rbacv1.PolicyRule) client.Client {
	GinkgoHelper()
	name := "mallory"
	role := metav1.ObjectMeta{Namespace: w.Namespace, GenerateName: name + "-"}
	made, err := w.Kube.RbacV1().Roles(w.Namespace).Create(ctx, &rbacv1.Role{ObjectMeta: role, Rules: may}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	name = made.Name
	_, err = w.Kube.RbacV1().RoleBindings(w.Namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
	}, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	// The authorizer hears of the binding a moment later.
	last := may[len(may)-1]
	w.Await(ctx, func(g Gomega) {
		review, err := w.Kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: name, ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: w.Namespace, Verb: last.Verbs[0], Group: last.APIGroups[0], Resource: last.Resources[0],
			}},
		}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(review.Status.Allowed).To(BeTrue())
	})
	cfg, err := w.Cluster.RESTConfig()
	Expect(err).NotTo(HaveOccurred())
	cfg = rest.CopyConfig(cfg)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:authenticated"}}
	scheme := runtime.NewScheme()
	Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	Expect(streamingv1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// base is the part of the names of a stream's Jobs before the run.
func base(s *streamingv1.Stream) string {
	return jobspec.CronName(s.Name, s.UID, streamingv1.KindStream)
}

// run is the name of the stream's Job, so many runs after the last one.
func run(s *streamingv1.Stream, ahead int) string {
	last := max(s.Status.Runs, s.CreationTimestamp.Unix())
	return jobspec.Name(s.Name, s.UID, streamingv1.KindStream, last+int64(ahead))
}

// jobChange changes a Job that is being forged.
type jobChange func(*batchv1.Job)

// forge copies a Job of the stream's as far as anybody may: labels, annotations, owner
// references and template. The copy is held.
func forge(from *batchv1.Job, name string, changes ...jobChange) *batchv1.Job {
	from = from.DeepCopy()
	j := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: from.Namespace, Name: name, Labels: from.Labels,
			Annotations: from.Annotations, OwnerReferences: from.OwnerReferences,
		},
		Spec: from.Spec,
	}
	j.Spec.Selector, j.Spec.Suspend = nil, ptr.To(true)
	for _, of := range []map[string]string{j.Labels, j.Spec.Template.Labels} {
		maps.DeleteFunc(of, func(key, _ string) bool {
			return strings.HasSuffix(key, "controller-uid") || strings.HasSuffix(key, "job-name")
		})
	}
	if j.Spec.Template.Annotations == nil {
		j.Spec.Template.Annotations = map[string]string{}
	}
	j.Spec.Template.Annotations[forgedMark] = "true"
	for _, change := range changes {
		change(j)
	}
	return j
}

// atLarge lets the forged Job run at once.
func atLarge(j *batchv1.Job) { j.Spec.Suspend = ptr.To(false) }

// unlabelled takes the labels away by which the operator finds its own.
func unlabelled(j *batchv1.Job) {
	for _, key := range []string{streamingv1.LabelStreamID, streamingv1.LabelStreamKind, streamingv1.LabelManagedBy} {
		delete(j.Labels, key)
	}
}

// annotated sets an annotation.
func annotated(key, value string) jobChange {
	return func(j *batchv1.Job) { j.Annotations[key] = value }
}

// controlledBy replaces the owner references.
func controlledBy(refs ...metav1.OwnerReference) jobChange {
	return func(j *batchv1.Job) { j.OwnerReferences = refs }
}

// withoutPods keeps the Job from ever making a pod.
func withoutPods(j *batchv1.Job) { j.Spec.Parallelism = ptr.To[int32](0) }

// streamPod is a pod that an attacker makes; it plays a streaming pod until it is deleted.
func streamPod(w *story.World, name string, labels map[string]string, owners ...metav1.OwnerReference) *corev1.Pod {
	spec := given.Template(w.Namespace, name).Spec.Spec.Template.Spec
	spec.Containers[0].Env = []corev1.EnvVar{{Name: streamingv1.EnvSpec, Value: "{}"}, {Name: streamingv1.EnvBackfill, Value: "false"}}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Namespace, Name: name, Labels: labels, OwnerReferences: owners,
			Annotations: map[string]string{forgedMark: "true"},
		},
		Spec: spec,
	}
}

// labelsOf are the labels that mark what is a stream's.
func labelsOf(stream string, managed bool) map[string]string {
	labels := map[string]string{streamingv1.LabelStreamID: stream, streamingv1.LabelStreamKind: streamingv1.KindStream}
	if managed {
		labels[streamingv1.LabelManagedBy] = streamingv1.ManagedBy
	}
	return labels
}

// streaming is a stream that runs, with its Job and its pod.
func streaming(ctx context.Context, w *story.World, name string, options ...given.StreamOption) (*streamingv1.Stream, *batchv1.Job, *corev1.Pod) {
	GinkgoHelper()
	w.Given(ctx, name, append([]given.StreamOption{given.NoInitialBackfill}, options...)...)
	pod := w.AwaitPod(ctx, name, streamingv1.ModeStream)
	return w.AwaitPhase(ctx, name, streamingv1.StreamRunning), jobOf(ctx, w, name), pod
}

// jobOf is the Job that a stream records.
func jobOf(ctx context.Context, w *story.World, stream string) *batchv1.Job {
	GinkgoHelper()
	record := w.Stream(ctx, stream).Status.Job
	Expect(record).NotTo(BeNil())
	job := &batchv1.Job{}
	Expect(w.Client.Get(ctx, w.Key(record.Name), job)).To(Succeed())
	Expect(job.UID).To(Equal(record.UID))
	return job
}

// suspend suspends a stream and waits until it is.
func suspend(ctx context.Context, w *story.World, name string) *streamingv1.Stream {
	GinkgoHelper()
	w.Suspend(ctx, name)
	return w.AwaitPhase(ctx, name, streamingv1.StreamSuspended)
}

// impatient lets the class call a stream stalled soon.
func impatient(ctx context.Context, w *story.World) {
	GinkgoHelper()
	w.EditClass(ctx, func(c *streamingv1.StreamClass) { c.Spec.StartDeadlineSeconds = ptr.To(int32(2)) })
}

// living are the pods of the namespace that may still be writing, whatever labels they have.
func living(ctx context.Context, w *story.World) []corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(w.Client.List(ctx, pods, client.InNamespace(w.Namespace))).To(Succeed())
	return slices.DeleteFunc(pods.Items, func(p corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
}

// awaitOnePod waits until exactly one pod of the namespace lives, a pod of the stream's own.
func awaitOnePod(ctx context.Context, w *story.World, stream string, except ...*corev1.Pod) *corev1.Pod {
	GinkgoHelper()
	var last corev1.Pod
	w.Await(ctx, func(g Gomega) {
		pods := living(ctx, w)
		g.Expect(pods).To(HaveLen(1), "%v", names(pods))
		last = pods[0]
		g.Expect(last.Status.Phase).To(Equal(corev1.PodRunning))
		g.Expect(last.DeletionTimestamp).To(BeNil())
		for _, p := range except {
			g.Expect(last.UID).NotTo(Equal(p.UID))
		}
		record := w.Stream(ctx, stream).Status.Job
		g.Expect(record).NotTo(BeNil())
		g.Expect(metav1.GetControllerOf(&last)).To(HaveValue(HaveField("UID", record.UID)))
	})
	return &last
}

func names(pods []corev1.Pod) []string {
	var list []string
	for _, p := range pods {
		list = append(list, fmt.Sprintf("%s (%s)", p.Name, p.Status.Phase))
	}
	return list
}

// isThere tells whether the very object is there and nobody is deleting it.
func isThere(ctx context.Context, w *story.World, o client.Object) bool {
	GinkgoHelper()
	now, ok := o.DeepCopyObject().(client.Object)
	Expect(ok).To(BeTrue())
	err := w.Client.Get(ctx, client.ObjectKeyFromObject(o), now)
	Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil && now.GetUID() == o.GetUID() && now.GetDeletionTimestamp() == nil
}

// expectUntouched: the object is as its maker left it, but for what Kubernetes adds.
func expectUntouched(ctx context.Context, w *story.World, made client.Object) {
	GinkgoHelper()
	now, ok := made.DeepCopyObject().(client.Object)
	Expect(ok).To(BeTrue())
	Expect(w.Client.Get(ctx, client.ObjectKeyFromObject(made), now)).To(Succeed())
	Expect(now.GetUID()).To(Equal(made.GetUID()), "it must not be made anew")
	Expect(now.GetDeletionTimestamp()).To(BeNil(), "it must not be deleted")
	Expect(now.GetGeneration()).To(Equal(made.GetGeneration()), "its spec must not be changed")
	Expect(now.GetLabels()).To(Equal(made.GetLabels()))
	Expect(now.GetAnnotations()).To(Equal(made.GetAnnotations()))
	Expect(now.GetOwnerReferences()).To(Equal(made.GetOwnerReferences()))
}

// awaitDeleted waits until the very object is gone, whatever has its name now.
func awaitDeleted(ctx context.Context, w *story.World, o client.Object) {
	GinkgoHelper()
	now, ok := o.DeepCopyObject().(client.Object)
	Expect(ok).To(BeTrue())
	w.Await(ctx, func(g Gomega) {
		err := w.Client.Get(ctx, client.ObjectKeyFromObject(o), now)
		g.Expect(apierrors.IsNotFound(err) || err == nil && now.GetUID() != o.GetUID()).To(BeTrue(), "%s is still there: %v", o.GetName(), err)
	})
}

// expectNeverReleased: the operator has never let the forged Job run, nor recorded it.
func expectNeverReleased(ctx context.Context, w *story.World, forged *batchv1.Job) {
	GinkgoHelper()
	for _, v := range w.History(ctx).Versions {
		switch o := v.Object.(type) {
		case *batchv1.Job:
			if o.UID == forged.UID {
				Expect(o.Spec.Suspend).To(HaveValue(BeTrue()), "the forged job %s was let run", o.Name)
			}
		case *corev1.Pod:
			Expect(controls(forged, o)).To(BeFalse(), "the forged job %s had a pod", forged.Name)
		}
	}
	expectNeverRecorded(ctx, w, forged.UID)
}

func controls(owner, o client.Object) bool {
	ref := metav1.GetControllerOfNoCopy(o)
	return ref != nil && ref.UID == owner.GetUID()
}

// expectNeverRecorded: no stream has ever recorded that job, nor has any request been completed by it.
func expectNeverRecorded(ctx context.Context, w *story.World, forged types.UID) {
	GinkgoHelper()
	for _, v := range w.History(ctx).Versions {
		switch o := v.Object.(type) {
		case *streamingv1.Stream:
			if o.Status.Job != nil {
				Expect(o.Status.Job.UID).NotTo(Equal(forged), "stream %s recorded a forged job", o.Name)
			}
			if o.Status.Failure != nil {
				Expect(o.Status.Failure.JobUID).NotTo(Equal(forged), "stream %s failed by a forged job", o.Name)
			}
		case *streamingv1.BackfillRequest:
			Expect(o.Annotations[streamingv1.AnnotationCompletedBy]).NotTo(Equal(string(forged)), "request %s was completed by a forged job", o.Name)
		}
	}
}

// awaitStalled waits until a stream says that it is stalled, and holds the message to all that it must name.
func awaitStalled(ctx context.Context, w *story.World, stream string, reason streamingv1.Reason, says ...string) {
	GinkgoHelper()
	stalled := w.AwaitCondition(ctx, stream, streamingv1.ConditionStalled, metav1.ConditionTrue, reason)
	for _, text := range says {
		Expect(stalled.Message).To(ContainSubstring(text))
	}
}

// awaitNotStalled waits until it goes on.
func awaitNotStalled(ctx context.Context, w *story.World, stream string) {
	GinkgoHelper()
	w.Await(ctx, func(g Gomega) {
		g.Expect(meta.IsStatusConditionTrue(w.Stream(ctx, stream).Status.Conditions, streamingv1.ConditionStalled)).To(BeFalse())
	})
}

// audit reads what the operator asks from now on; each call of the result asks again.
func audit(w *story.World) (writes func(verb, resource string) []law.Request) {
	GinkgoHelper()
	log, err := law.NewAuditLog(w.Cluster.AuditLog(), w.Namespace)
	Expect(err).NotTo(HaveOccurred())
	var all []law.Request
	return func(verb, resource string) []law.Request {
		GinkgoHelper()
		more, err := log.Next()
		Expect(err).NotTo(HaveOccurred())
		all = append(all, more...)
		var found []law.Request
		for _, r := range all {
			if r.ByOperator() && r.Writes() && r.Verb == verb && r.Object.Resource == resource {
				found = append(found, r)
			}
		}
		return found
	}
}

// hold puts a finalizer on an object that nobody will take away.
func hold(ctx context.Context, c client.Client, o client.Object) {
	GinkgoHelper()
	patch(ctx, c, o, `[{"op":"test","path":"/metadata/uid","value":"`+string(o.GetUID())+`"},
		{"op":"add","path":"/metadata/finalizers","value":["`+finalizer+`"`+others(o)+`]}]`)
}

func others(o client.Object) string {
	var list string
	for _, f := range o.GetFinalizers() {
		list += `,"` + f + `"`
	}
	return list
}

// patch sends a JSON patch.
func patch(ctx context.Context, c client.Client, o client.Object, text string) {
	GinkgoHelper()
	target, ok := o.DeepCopyObject().(client.Object)
	Expect(ok).To(BeTrue())
	Expect(c.Patch(ctx, target, client.RawPatch(types.JSONPatchType, []byte(text)))).To(Succeed())
}

// letGo takes the finalizer away, as the message tells its user.
func letGo(ctx context.Context, w *story.World, o client.Object) {
	GinkgoHelper()
	w.Await(ctx, func(g Gomega) {
		now, ok := o.DeepCopyObject().(client.Object)
		g.Expect(ok).To(BeTrue())
		if err := w.Client.Get(ctx, client.ObjectKeyFromObject(o), now); apierrors.IsNotFound(err) {
			return
		}
		now.SetFinalizers(slices.DeleteFunc(now.GetFinalizers(), func(f string) bool { return f == finalizer }))
		g.Expect(client.IgnoreNotFound(w.Client.Update(ctx, now))).To(Succeed())
	})
}

// sorted is a history in the cluster's order.
func sorted(h law.History) []law.Version {
	versions := slices.Clone(h.Versions)
	slices.SortStableFunc(versions, func(a, b law.Version) int { return cmp.Compare(a.RV, b.RV) })
	return versions
}

// escaped is a key as a JSON pointer writes it.
func escaped(key string) string { return strings.ReplaceAll(key, "/", "~1") }
