// Package law checks what must always hold, over every version of every object
// that an independent watcher has seen. They are the invariants I1 to I8 of a stream's
// life, each with a sentence of its own below.
//
// Check is a pure function over a History; Recorder makes one from a cluster.
package law

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Law names an invariant.
type Law string

// The invariants that a history can prove or break. I5 is about requests in a quiet
// time (see AwaitQuiet), I6 about the end of a run, which is a story's own question.
const (
	// OneWriter (I1): never pods of two jobs of one stream.
	OneWriter Law = "I1 one writer"
	// NoneFaked (I2): a request is completed only by a trusted success of its own job.
	NoneFaked Law = "I2 no backfill is lost or faked"
	// NoneRepeated (I3): a backfill whose success can be trusted is not run again.
	NoneRepeated Law = "I3 no backfill is repeated"
	// UsersOwn (I4): the operator does not write what belongs to the user.
	UsersOwn Law = "I4 the user's object is the user's"
	// NotOurs (I7): what is not ours is not touched.
	NotOurs Law = "I7 what is not ours is not touched"
	// Stopped (I8): Suspended is written only when no pod is alive.
	Stopped Law = "I8 suspended means stopped"
	// Entitled: the operator has every right that it needs, so it is never refused for
	// the lack of one.
	Entitled Law = "the operator has the rights that it uses"
)

// Version is one version of one object, or its deletion.
type Version struct {
	// RV is the resourceVersion. All kinds share one sequence, so it orders a history.
	RV uint64
	// Deleted tells that the object went with this version.
	Deleted bool
	// Object is a Stream, a BackfillRequest, a Job or a Pod.
	Object client.Object
}

// History is all that happened in one namespace.
type History struct {
	// Versions of all objects.
	Versions []Version
	// Requests that the API server logged; empty where there is no audit log.
	Requests []Request
	// Until is when the history was asked for. A request that the API server received later
	// tells only who created what; zero is no limit.
	Until time.Time
	// Audited: there is an audit log, and it holds all creations. Then it says whose an
	// object is; else the object itself does, by labels and owner references.
	Audited bool
}

// Violation is one broken law.
type Violation struct {
	Law Law
	// RV is when; zero for what the audit log shows.
	RV uint64
	// Message says what happened, naming the objects.
	Message string
}

// String is the violation in a line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: at %d: %s", v.Law, v.RV, v.Message)
}

// rule looks at one change in the world that it led to.
type rule func(*world, change) []Violation

var rules = []rule{onePod, oneJob, release, claimed, completion, outcome, repeated, doubted, heldTTL, usersOwn, notOurs, suspended}

// Check returns every violation of the laws in the history, in order.
func Check(h History) []Violation {
	versions := slices.Clone(h.Versions)
	slices.SortStableFunc(versions, func(a, b Version) int { return cmp.Compare(a.RV, b.RV) })
	w := newWorld(originsOf(h))
	var found []Violation
	for _, v := range versions {
		c := w.apply(v)
		for _, r := range rules {
			found = append(found, r(w, c)...)
		}
	}
	return append(found, permitted(w, slices.DeleteFunc(slices.Clone(h.Requests), h.isLate))...)
}

// isLate tells whether a request may be about objects that are not in the history yet.
func (h History) isLate(r Request) bool { return !h.Until.IsZero() && r.ReceivedAt.After(h.Until) }

func broken(law Law, rv uint64, format string, args ...any) []Violation {
	return []Violation{{Law: law, RV: rv, Message: fmt.Sprintf(format, args...)}}
}
