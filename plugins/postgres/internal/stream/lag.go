package stream

// This file measures how far the sink is behind the source.

import (
	"context"
	"time"
)

// lag is a look at the source's log that the sink has not yet caught up with. All
// times are this process's own, so that no clock of the source's can make them wrong.
type lag struct {
	looked time.Time
	end    uint64
	caught bool
}

// lookEvery is how often the source is asked where its log ends; so fine is the lag.
const lookEvery = 2 * time.Second

// measureLag asks the source where its log ends, and notes when the sink has come
// that far: then it holds all that was there when the source was asked. That the
// source does not answer is noticed, and judged, by those who need it.
func (c *consumer) measureLag(ctx context.Context) {
	l := &c.lag
	if !l.looked.IsZero() && !l.caught && c.holds(l.end) {
		l.caught = true
		c.Metrics.Lag.InStep(l.looked)
	}
	if !l.looked.IsZero() {
		c.Metrics.Lag.Missing(max(l.end, c.wire.serverEnd, c.confirmed) - c.confirmed)
	}
	if !l.looked.IsZero() && (time.Since(l.looked) < lookEvery || !l.caught) {
		return
	}
	now := time.Now()
	end, err := c.Source.FlushedLSN(ctx, c.catalog)
	if err != nil {
		c.Log.Debug("the lag is not known", "error", err.Error())
		return
	}
	*l = lag{looked: now, end: uint64(end)}
}

// holds tells whether everything up to there is durable: because it was confirmed,
// which is how it comes about under a steady load, or because nothing waits.
func (c *consumer) holds(end uint64) bool {
	return c.confirmed >= end || c.rows == 0 && !c.decoder.open && c.received >= end
}
