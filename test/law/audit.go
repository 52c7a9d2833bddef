// I4 and I7 once more, from the API server's audit log, which also shows what
// leaves no trace in an object: deletions and removed fields.

package law

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Request is one line of the audit log: who asked the API server for what.
type Request struct {
	Stage string `json:"stage"`
	Verb  string `json:"verb"`
	URI   string `json:"requestURI"`
	User  User   `json:"user"`
	// Impersonated is as whom, where the user acted as somebody else.
	Impersonated User      `json:"impersonatedUser"`
	UserAgent    string    `json:"userAgent"`
	Object       ObjectRef `json:"objectRef"`
	Response     Response  `json:"responseStatus"`
	ReceivedAt   time.Time `json:"requestReceivedTimestamp"`
	// Annotations are the API server's own notes.
	Annotations map[string]string `json:"annotations"`
	// Result is the object that a creation led to, where the audit policy keeps it.
	Result Result `json:"responseObject"`
}

// Result is as much of a created object as shows who it is, and whose it was at first.
type Result struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     ResultSpec        `json:"spec"`
}

// ResultSpec is as much of a created Job or CronJob as shows what its pods run.
type ResultSpec struct {
	// Suspend tells whether a Job is created held.
	Suspend *bool `json:"suspend"`
	// Template of a Job's pods.
	Template corev1.PodTemplateSpec `json:"template"`
	// JobTemplate of a CronJob.
	JobTemplate struct {
		Spec struct {
			Template corev1.PodTemplateSpec `json:"template"`
		} `json:"spec"`
	} `json:"jobTemplate"`
}

// User is who asked, as whom.
type User struct {
	Name string `json:"username"`
}

// ObjectRef is what a request was about.
type ObjectRef struct {
	Group       string `json:"apiGroup"`
	Resource    string `json:"resource"`
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	Subresource string `json:"subresource"`
}

// Response is how it was answered.
type Response struct {
	Code int `json:"code"`
}

// String is the request in a line.
func (r Request) String() string {
	return fmt.Sprintf("%s %s %s (%d)", r.ReceivedAt.Format("15:04:05.000"), r.Verb, r.URI, r.Response.Code)
}

// As is the user with whose rights the request was made.
func (r Request) As() string {
	if r.Impersonated.Name != "" {
		return r.Impersonated.Name
	}
	return r.User.Name
}

// ByOperator tells whether the operator asked. Anybody may give any user agent, so
// where somebody is impersonated it has to be the operator's service account.
func (r Request) ByOperator() bool {
	if !strings.HasPrefix(r.UserAgent, Operator) {
		return false
	}
	as := r.Impersonated.Name
	return as == "" || strings.HasPrefix(as, "system:serviceaccount:") && strings.HasSuffix(as, ":"+Operator)
}

// Tries tells whether the request was to store nothing, as the operator's webhooks
// make them while somebody else's write waits: a dry run, or a question about rights.
func (r Request) Tries() bool {
	if r.Object.Resource == "subjectaccessreviews" || r.Object.Resource == "tokenreviews" {
		return true
	}
	asked, err := url.Parse(r.URI)
	return err == nil && asked.Query().Has("dryRun")
}

// Writes tells whether the request was to change something.
func (r Request) Writes() bool {
	return !r.Tries() && slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, r.Verb)
}

// permitted holds each write of the operator that succeeded to the list of what it
// may write. What the API server itself forbade shows a right that an installation
// failed to give.
func permitted(w *world, requests []Request) []Violation {
	var found []Violation
	for _, r := range requests {
		if r.ByOperator() && r.Response.Code == http.StatusForbidden {
			found = append(found, broken(Entitled, 0, "%s: forbidden", r)...)
		}
		if !r.ByOperator() || !r.Writes() || r.Response.Code >= http.StatusMultipleChoices {
			continue
		}
		if law, why := w.refuse(r); why != "" {
			found = append(found, broken(law, 0, "%s: %s", r, why)...)
		}
	}
	return found
}

// refuse says which law a write breaks, and why; nothing where it is permitted.
func (w *world) refuse(r Request) (Law, string) {
	o := r.Object
	switch o.Resource {
	case "events", "leases":
		return "", ""
	case "streams", "streamclasses":
		if o.Subresource != "status" {
			return UsersOwn, "of a user's object only the status is the operator's to write"
		}
	case "backfillrequests":
		if r.Verb == "delete" && !w.mayGo(o.Name) {
			return UsersOwn, "a user's request was deleted"
		}
	case "jobs":
		return w.refuseJob(r)
	case "cronjobs":
		if r.Object.Subresource != "" {
			return NotOurs, "a CronJob's status is the CronJob controller's"
		}
	case "pods":
		return w.refusePod(r)
	case "streamplugins":
		if r.Verb != "patch" {
			return UsersOwn, "of a user's object only the status and the finalizer are the operator's to write"
		}
	case "streamingjobtemplates", "serviceaccounts", "configmaps", "networkpolicies", "podmonitors":
		if !w.installed[installation{o.Resource, o.Name}] {
			return NotOurs, "no StreamPlugin has ever installed an object of that name"
		}
	default:
		return NotOurs, "the operator has no business with " + o.Resource
	}
	if r.Verb == "deletecollection" {
		return NotOurs, "a whole collection was deleted"
	}
	return "", ""
}

func (w *world) refuseJob(r Request) (Law, string) {
	switch {
	case r.Object.Subresource != "":
		return NotOurs, "a job's status is the job controller's"
	case r.Verb == "create":
		return "", ""
	case r.Verb == "deletecollection":
		return NotOurs, "a whole collection was deleted"
	}
	for _, j := range w.jobs {
		if j.object.Name == r.Object.Name && (j.ownerUID != "" || r.Verb == "delete" && w.restored(j)) {
			return "", ""
		}
	}
	return NotOurs, "no stream has ever had a job of that name"
}

func (w *world) refusePod(r Request) (Law, string) {
	if r.Verb != "delete" || r.Object.Subresource != "" {
		return NotOurs, "a pod may only be deleted"
	}
	for _, p := range w.pods {
		if p.object.Name != r.Object.Name {
			continue
		}
		j := w.job(p.job)
		switch own := j != nil && j.ownerUID != ""; {
		case own && (j.gone || p.lingered || w.origins.known && p.stripped):
			return "", ""
		case !own && w.origins.known && w.derived(p.object.Name) != nil:
			return "", ""
		}
	}
	return NotOurs, "only pods of the operator's own jobs, when these are gone or the plugin has ended beside a container that runs on, may be deleted"
}

// restored tells whether a job that the operator did not create may be deleted all the
// same: its name, which nobody can change, is a stream's, and its controller is that
// stream, or the CronJob that the operator has made for it.
func (w *world) restored(j *job) bool {
	s := w.derived(j.object.Name)
	if !w.origins.known || s == nil {
		return false
	}
	cron := w.origins.operator[j.claims]
	return j.claims == s.object.UID || cron != nil && cron.UID == s.object.UID
}

// mayGo tells whether the operator may delete a request: one of its own, or one that
// has ended and whose user has set a time for that.
func (w *world) mayGo(name string) bool {
	for _, r := range w.requests {
		expires := r.object.Spec.TTLSecondsAfterFinished != nil && r.object.Status.Phase.Final()
		if r.object.Name == name && (r.ours || expires) {
			return true
		}
	}
	return false
}

// AuditLog reads one namespace's requests from the API server's log, or all.
type AuditLog struct {
	path      string
	namespace string
	offset    int64
}

// NewAuditLog reads from the log's present end on; without a namespace, all requests.
// A request whose line is half written at that moment is one of those to come.
func NewAuditLog(path, namespace string) (*AuditLog, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("find the audit log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("find the end of the audit log: %w", err)
	}
	end, err := endOfLine(file, info.Size())
	if err != nil {
		return nil, fmt.Errorf("read the end of the audit log: %w", err)
	}
	return &AuditLog{path: path, namespace: namespace, offset: end}, nil
}

// endOfLine is where the last whole line before a position ends.
func endOfLine(file io.ReaderAt, before int64) (int64, error) {
	const block = 64 << 10
	for before > 0 {
		from := max(0, before-block)
		text := make([]byte, before-from)
		if _, err := file.ReadAt(text, from); err != nil {
			return 0, err
		}
		if at := bytes.LastIndexByte(text, '\n'); at >= 0 {
			return from + int64(at) + 1, nil
		}
		before = from
	}
	return 0, nil
}

// Next returns the finished requests that were logged since the last call.
func (l *AuditLog) Next() ([]Request, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(l.offset, io.SeekStart); err != nil {
		return nil, fmt.Errorf("go on in the audit log: %w", err)
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	// The last line may be half written; the next call reads it whole.
	end := bytes.LastIndexByte(text, '\n') + 1
	l.offset += int64(end)
	return l.parse(text[:end])
}

func (l *AuditLog) parse(text []byte) ([]Request, error) {
	var requests []Request
	var failed error
	for line := range bytes.Lines(text) {
		if !bytes.Contains(line, []byte(l.namespace)) {
			continue
		}
		var r Request
		if err := json.Unmarshal(line, &r); err != nil {
			failed = errors.Join(failed, fmt.Errorf("read a line of the audit log: %w", err))
			continue
		}
		if (l.namespace == "" || r.Object.Namespace == l.namespace) && r.Stage != "ResponseStarted" {
			requests = append(requests, r)
		}
	}
	return requests, failed
}
