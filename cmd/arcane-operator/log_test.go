package main

// This file reads what is logged.

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
)

func TestLogIsReadable(t *testing.T) {
	var out bytes.Buffer
	log := newLog(zapcore.InfoLevel, &out)
	log.V(1).Info("nobody asked for this")
	log.Info("decided", "rule", "suspend")
	var line struct{ TS, Msg, Rule string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if line.Msg != "decided" || line.Rule != "suspend" {
		t.Errorf("logged %+v", line)
	}
	at, err := time.Parse(time.RFC3339Nano, line.TS)
	if err != nil || time.Since(at) > time.Minute {
		t.Errorf("logged at %q: %v", line.TS, err)
	}
}
