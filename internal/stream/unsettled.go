package stream

// This file counts how often, and since when, a stream's pass could not be done: its world
// was not the one that was judged, or the API server gave an error to a write. Such a pass is repeated;
// where that does not end, the pauses grow, and once it has lasted too long the stream says so.

import (
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// notJudged is the error of a pass in whose world something is not as it was judged.
type notJudged struct {
	what error
}

func (e *notJudged) Error() string {
	return "the world is not the one that was judged: " + e.what.Error()
}

func (e *notJudged) Unwrap() error { return e.what }

// notAsJudged is the error of a pass that has to be repeated, and says what is not as it was judged.
func notAsJudged(format string, args ...any) error {
	return &notJudged{what: fmt.Errorf(format, args...)}
}

// movedOn is what an error says of a world that is not the one that was judged: a look
// found something else, or the version that a write named is not there any more. Empty for
// any other error.
func movedOn(err error) string {
	var is *notJudged
	switch {
	case errors.As(err, &is):
		return is.what.Error()
	case apierrors.IsConflict(err):
		return err.Error()
	}
	return ""
}

// lookAgainAtMost is the longest pause before the world is observed again: where a watch
// does not wake the stream, its user waits that long for what is gone to be seen gone.
const lookAgainAtMost = 10 * time.Second

// unsettled are the streams whose last pass has to be repeated.
type unsettled struct {
	mu      sync.Mutex
	streams map[types.NamespacedName]repeats
}

// repeats are the passes since the last one that was done: those that met another world, and
// those that met an error.
type repeats struct{ moved, failed failures }

type failures struct {
	// since is when the first of them was.
	since time.Time
	n     int32
}

// of are the repeats for the kind of an error.
func (r *repeats) of(err error) *failures {
	if movedOn(err) != "" {
		return &r.moved
	}
	return &r.failed
}

// again counts a pass that has to be repeated for an error.
func (u *unsettled) again(stream types.NamespacedName, now time.Time, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.streams == nil {
		u.streams = map[types.NamespacedName]repeats{}
	}
	r := u.streams[stream]
	f := r.of(err)
	if f.n == 0 {
		f.since = now
	}
	f.n++
	u.streams[stream] = r
}

// pause is how long to wait before a world that has moved on is observed again.
func (u *unsettled) pause(stream types.NamespacedName) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return delay(u.streams[stream].moved.n, lookAgainAfter, lookAgainAtMost)
}

// since is when the first of the passes was that have to be repeated for an error of this
// kind; zero where none has.
func (u *unsettled) since(stream types.NamespacedName, err error) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := u.streams[stream]
	return r.of(err).since
}

func (u *unsettled) settle(stream types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.streams, stream)
}
