package stream

// This file counts how often, and since when, the world of a stream was not the one that
// was judged. Such a pass changes nothing and is repeated; where that does not end, the
// pauses grow, and once it has lasted too long the stream says so.

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// lookAgainAtMost is the longest pause before the world is observed again.
const lookAgainAtMost = 10 * time.Second

// unsettled are the streams whose last pass has to be repeated.
type unsettled struct {
	mu      sync.Mutex
	streams map[types.NamespacedName]repeats
}

type repeats struct {
	since time.Time
	n     int32
}

// again counts a pass that has to be repeated, and is the pause before that.
func (u *unsettled) again(stream types.NamespacedName, now time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.streams == nil {
		u.streams = map[types.NamespacedName]repeats{}
	}
	r, ok := u.streams[stream]
	if !ok {
		r.since = now
	}
	r.n++
	u.streams[stream] = r
	return delay(r.n, lookAgainAfter, lookAgainAtMost)
}

// since is when the first of the passes was that had to be repeated; zero where none had.
func (u *unsettled) since(stream types.NamespacedName) time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.streams[stream].since
}

func (u *unsettled) settle(stream types.NamespacedName) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.streams, stream)
}
