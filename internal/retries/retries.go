// Package retries says how soon a controller tries again what has failed.
package retries

// This file holds the pauses between attempts.

import (
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	first = 5 * time.Millisecond
	// longest is also how long after the end of an outage everything has been tried
	// again. controller-runtime's own is more than a quarter of an hour, which a stream
	// would stand still although nothing is wrong any more. How much the API server can
	// bear meanwhile its fairness queues decide.
	longest = 30 * time.Second
)

// Limiter doubles the pause of each thing with each of its failures, and knows no
// limit for all of them together: those that have failed seldom do not wait for those
// that fail all the time.
func Limiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](first, longest)
}
