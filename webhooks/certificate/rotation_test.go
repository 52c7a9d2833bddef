package certificate

// This file lets certificates grow old.

import (
	"bytes"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const life = 90 * 24 * time.Hour

func testPlan() plan {
	return plan{names: []string{"arcane-webhook-service.arcane-system.svc", "127.0.0.1"}, life: life}
}

// step is one decision, which must not fail.
func step(t *testing.T, p plan, data map[string][]byte, published, now time.Time) (map[string][]byte, time.Duration) {
	t.Helper()
	wanted, wake, err := p.next(data, published, now)
	if err != nil {
		t.Fatal(err)
	}
	return wanted, wake
}

func TestFirstCertificate(t *testing.T) {
	p := testPlan()
	for name, data := range map[string]map[string][]byte{
		"none":    nil,
		"garbage": {keyCert: []byte("x"), keyKey: []byte("y"), keyAuthorities: []byte("z")},
	} {
		wanted, _ := step(t, p, data, time.Time{}, start)
		served, err := read(wanted[keyCert], wanted[keyKey], p.names, start)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := trusts(wanted[keyAuthorities], served, start); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		again, wake := step(t, p, wanted, start, start)
		if again != nil || wake != life*2/3 {
			t.Errorf("%s: a fresh one is left for two thirds of its life, not %s (%v)", name, wake, again)
		}
	}
}

// At every step whoever has the bundle of the step before, or of this one, trusts
// what is served by a replica that is as far behind.
func TestRotationKeepsTrust(t *testing.T) {
	p := testPlan()
	data, _ := step(t, p, nil, time.Time{}, start)
	now := start.Add(life*2/3 + time.Hour)

	added, _ := step(t, p, data, start, now)
	if !bytes.Equal(added[keyCert], data[keyCert]) || bytes.Equal(added[keyAuthorities], data[keyAuthorities]) {
		t.Fatal("first the new authority is added, and the old certificate served")
	}
	if wanted, _ := step(t, p, added, time.Time{}, now); wanted != nil {
		t.Fatal("nothing is served that the configurations do not trust yet")
	}
	if wanted, wake := step(t, p, added, now, now.Add(time.Second)); wanted != nil || wake != p.settle()-time.Second {
		t.Fatalf("what was published must settle: %s", wake)
	}
	swapped, _ := step(t, p, added, now, now.Add(p.settle()))
	if bytes.Equal(swapped[keyCert], data[keyCert]) || swapped[keyNextCert] != nil {
		t.Fatal("then the new certificate is served")
	}
	for _, at := range []struct {
		name           string
		bundle, served map[string][]byte
	}{
		{"a slow replica, the new bundle", added, data},
		{"a quick replica, the bundle as added", added, swapped},
		{"a slow replica after the swap", swapped, data},
	} {
		served, err := read(at.served[keyCert], at.served[keyKey], p.names, now)
		if err == nil {
			err = trusts(at.bundle[keyAuthorities], served, now)
		}
		if err != nil {
			t.Errorf("%s: %v", at.name, err)
		}
	}
	later := now.Add(life*2/3 + 2*time.Hour)
	if again, _ := step(t, p, swapped, now, later); bytes.Count(again[keyAuthorities], []byte("BEGIN")) != 2 {
		t.Error("an authority leaves when it has run out")
	}
}

func TestOtherNamesNeedAnotherCertificate(t *testing.T) {
	p := testPlan()
	data, _ := step(t, p, nil, time.Time{}, start)
	p.names = []string{"webhook.elsewhere.svc"}
	if wanted, _ := step(t, p, data, start, start); wanted == nil {
		t.Error("the certificate is for another name")
	}
}
