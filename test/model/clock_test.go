package model

// This file is the world's clock.

import "time"

// passiveClock stands still until it is moved.
type passiveClock struct{ now time.Time }

// Now tells the time.
func (c *passiveClock) Now() time.Time { return c.now }

// Since tells how long ago that was.
func (c *passiveClock) Since(t time.Time) time.Duration { return c.now.Sub(t) }

func (c *passiveClock) advance(d time.Duration) { c.now = c.now.Add(d) }
