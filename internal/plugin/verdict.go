package plugin

// This file says what the status of a StreamPlugin is, from what was found and done.

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	v1 "github.com/arcane-streaming/arcane-operator/api/v1"
	"github.com/arcane-streaming/arcane-operator/internal/backlog"
	"github.com/arcane-streaming/arcane-operator/internal/pluginchart"
)

// maxMessage keeps a message short enough for an Event, whose note has at most 1,024 bytes (validation of events.k8s.io/v1).
const maxMessage = 1000

// outcome is the result of an attempt.
type outcome struct {
	// version of the preset that is installed, empty where this attempt did not install it.
	version string
	// release that holds it, nil where nothing was read of one.
	release *v1.PluginRelease
	// objects that are installed, nil where this attempt did not read them.
	objects []v1.PluginObject
	// reason is Installed where all went well.
	reason  v1.Reason
	message string
	// stalled: nothing will happen until somebody acts.
	stalled bool
}

// conflict is what has a name that the StreamPlugin needs, and belongs to somebody else.
type conflict []taken

// taken is one such object.
type taken struct {
	object *unstructured.Unstructured
	// owner is the StreamPlugin that has installed it, by namespace and name; empty where there is none of that UID.
	owner string
}

// Error names the objects, the class first, whose they are, and the way out.
func (c conflict) Error() string {
	var all, owners []string
	isClass := false
	for _, t := range c {
		if t.object.GetKind() == v1.KindStreamClass {
			all, isClass = slices.Insert(all, 0, describe(t.object)), true
		} else {
			all = append(all, describe(t.object))
		}
		if t.owner != "" && !slices.Contains(owners, t.owner) {
			owners = append(owners, t.owner)
		}
	}
	text, it := all[0]+" exists already and does not belong to this StreamPlugin. The operator leaves it alone.", "it"
	if len(all) > 1 {
		text, it = firstFew(all)+" exist already and do not belong to this StreamPlugin. The operator leaves them alone.", "them"
	}
	another := "give the StreamPlugin another name"
	if isClass {
		another = "create the StreamPlugin with another spec.className"
	}
	if len(owners) > 0 {
		return fmt.Sprintf("%s StreamPlugin %s has installed %s: delete this StreamPlugin, and %s.", text, firstFew(owners), it, another)
	}
	if uid := c[0].object.GetAnnotations()[pluginchart.AnnotationPluginUID]; uid != "" {
		text += fmt.Sprintf(" The annotation %s names the StreamPlugin with UID %s, which is gone; after a restore, set it to the UID of this StreamPlugin.", pluginchart.AnnotationPluginUID, uid)
	}
	return fmt.Sprintf("%s Delete %s, or %s.", text, it, another)
}

// succeeded is the outcome where everything is installed.
func succeeded(p *v1.StreamPlugin) outcome {
	return outcome{
		reason:  v1.ReasonInstalled,
		message: fmt.Sprintf("StreamClass %s is installed; Streams in namespace %s can use it.", pluginchart.ClassName(p), p.Namespace),
	}
}

// refused is the outcome of a spec that cannot be rendered.
func refused(err error) outcome {
	return outcome{reason: v1.ReasonSpecInvalid, message: err.Error(), stalled: true}
}

// failed is the outcome of an attempt that met an obstacle.
func failed(err error) outcome {
	var c conflict
	if errors.As(err, &c) {
		return outcome{reason: v1.ReasonNameConflict, message: c.Error(), stalled: true}
	}
	return outcome{reason: v1.ReasonReleaseFailed, message: fmt.Sprintf("%v. The operator tries again.", err)}
}

// waiting is the outcome of a removal that has to wait for Streams.
func waiting(class string, users []string) outcome {
	return outcome{
		reason: v1.ReasonWaitingForStreams,
		message: fmt.Sprintf("The StreamPlugin is being deleted, and waits for the Streams of class %s: %s. Delete them first.",
			class, firstFew(users)),
	}
}

// firstFew lists the first three, and says how many more there are.
func firstFew(all []string) string {
	const most = 3
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}

// statusOf is the whole status that follows from an outcome.
func statusOf(p *v1.StreamPlugin, o outcome) v1.StreamPluginStatus {
	status := *p.Status.DeepCopy()
	status.ObservedGeneration = p.Generation
	status.ClassName = pluginchart.ClassName(p)
	if o.version != "" {
		status.Version = o.version
	}
	if o.release != nil {
		status.Release = o.release
	}
	if o.objects != nil {
		status.Objects = o.objects
	}
	set := func(kind string, is bool) {
		c := metav1.Condition{
			Type: kind, Status: metav1.ConditionFalse, ObservedGeneration: p.Generation,
			Reason: string(o.reason), Message: backlog.Truncate(o.message, maxMessage),
		}
		if is {
			c.Status = metav1.ConditionTrue
		}
		meta.SetStatusCondition(&status.Conditions, c)
	}
	installed := o.reason == v1.ReasonInstalled
	set(v1.ConditionReady, installed)
	set(v1.ConditionReconciling, !installed && !o.stalled)
	set(v1.ConditionStalled, o.stalled)
	return status
}
