package certificate

// This file decides what the Secret shall hold.

import (
	"crypto/tls"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What the Secret holds. The first three are named as everybody names them.
const (
	keyCert        = corev1.TLSCertKey
	keyKey         = corev1.TLSPrivateKeyKey
	keyAuthorities = "ca.crt"
	// The pair that will be served once every API server trusts it.
	keyNextCert = "next.crt"
	keyNextKey  = "next.key"
)

// plan is how certificates come and go.
type plan struct {
	// names that the certificate is for.
	names []string
	// life of a certificate; it is replaced in its last third.
	life time.Duration
}

// settle is how long a new authority stands in the webhook configurations before
// anything signed by it is served: each API server reads them through a watch of its
// own, and none of them tells when it has.
func (p plan) settle() time.Duration { return min(max(p.life/100, time.Second), time.Minute) }

// next is what the Secret shall hold, nil where that is what it holds, and when to
// ask again. published is since when the configurations have been seen to trust all
// of its authorities; zero while they do not.
//
// A certificate is replaced in three writes, so that at every moment every API
// server trusts what every replica serves: the new authority is added; when that has
// settled the new certificate is served; the old authority leaves when it runs out.
func (p plan) next(data map[string][]byte, published, now time.Time) (wanted map[string][]byte, wake time.Duration, err error) {
	served, bad := read(data[keyCert], data[keyKey], p.names, now)
	if bad != nil || trusts(data[keyAuthorities], served, now) != nil {
		fresh, err := issue(p.names, now, p.life)
		return map[string][]byte{
			keyCert: fresh.cert, keyKey: fresh.key,
			keyAuthorities: living(now, fresh.authority, data[keyAuthorities]),
		}, 0, err
	}
	if due := p.due(served).Sub(now); due > 0 {
		return nil, due, nil
	}
	if coming, bad := read(data[keyNextCert], data[keyNextKey], p.names, now); bad != nil || trusts(data[keyAuthorities], coming, now) != nil {
		fresh, err := issue(p.names, now, p.life)
		return map[string][]byte{
			keyCert: data[keyCert], keyKey: data[keyKey],
			keyNextCert: fresh.cert, keyNextKey: fresh.key,
			keyAuthorities: living(now, fresh.authority, data[keyAuthorities]),
		}, 0, err
	}
	if published.IsZero() {
		// Seen to be published wakes us.
		return nil, p.settle(), nil
	}
	if left := published.Add(p.settle()).Sub(now); left > 0 {
		return nil, left, nil
	}
	return map[string][]byte{
		keyCert: data[keyNextCert], keyKey: data[keyNextKey],
		keyAuthorities: living(now, data[keyAuthorities]),
	}, 0, nil
}

// due is when a certificate is to be replaced.
func (p plan) due(served *tls.Certificate) time.Time { return served.Leaf.NotAfter.Add(-p.life / 3) }
