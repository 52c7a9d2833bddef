package stream

// This file keeps what was just tried in vain from being tried again at once: to create
// a job and to delete it are changes that wake the stream.

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// paused are the streams for which nothing is created for a while, neither a job nor a CronJob, and why. It is not
// durable: a process that starts anew tries once more.
type paused struct {
	mu      sync.Mutex
	streams map[types.NamespacedName]pause
}

type pause struct {
	until time.Time
	why   obstacle
}

func (p *paused) pause(stream types.NamespacedName, until time.Time, why obstacle) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == nil {
		p.streams = map[types.NamespacedName]pause{}
	}
	p.streams[stream] = pause{until, why}
}

// now is why nothing is created for a stream at this time, and for how long; nil where one may be.
func (p *paused) now(stream types.NamespacedName, now time.Time) *obstacle {
	p.mu.Lock()
	defer p.mu.Unlock()
	is, ok := p.streams[stream]
	if !ok || !now.Before(is.until) {
		delete(p.streams, stream)
		return nil
	}
	why := is.why
	why.after = is.until.Sub(now)
	return &why
}

func (p *paused) forget(stream types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.streams, stream)
}
