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

type repeats struct {
	// since is when the passes began to end for one kind of reason: because the world had moved on, or for another error.
	since time.Time
	moved bool
	n     int32
}

// again counts a pass that has to be repeated for an error.
func (u *unsettled) again(stream types.NamespacedName, now time.Time, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.streams == nil {
		u.streams = map[types.NamespacedName]repeats{}
	}
	r, ok := u.streams[stream]
	if moved := movedOn(err) != ""; !ok || moved != r.moved {
		r.since, r.moved = now, moved
	}
	r.n++
	u.streams[stream] = r
}

// pause is how long to wait before the next pass.
func (u *unsettled) pause(stream types.NamespacedName) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return delay(u.streams[stream].n, lookAgainAfter, lookAgainAtMost)
}

// since is when the first of the passes was that have to be repeated for an error of this
// kind; zero where none has.
func (u *unsettled) since(stream types.NamespacedName, err error) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if r := u.streams[stream]; r.moved == (movedOn(err) != "") {
		return r.since
	}
	return time.Time{}
}

func (u *unsettled) settle(stream types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.streams, stream)
}
