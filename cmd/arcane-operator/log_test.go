package main

// This file reads the log.

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// TestNoDecisionIsLeftOut: a thousand streams that start at once are a thousand lines.
func TestNoDecisionIsLeftOut(t *testing.T) {
	var out bytes.Buffer
	log := newLog(&out, zapcore.InfoLevel)
	for n := range 1000 {
		log.Info("decided", "stream", n)
	}
	if got := strings.Count(out.String(), "\n"); got != 1000 {
		t.Errorf("%d lines of 1000", got)
	}
}

func TestLevelsOfTheLog(t *testing.T) {
	for level, want := range map[zapcore.Level]string{
		zapcore.DebugLevel: "debug info error",
		zapcore.InfoLevel:  "info error",
		zapcore.WarnLevel:  "error",
		zapcore.ErrorLevel: "error",
	} {
		var out bytes.Buffer
		log := newLog(&out, level)
		log.V(2).Info("more than anybody asks for")
		log.V(1).Info("debug")
		log.Info("info")
		log.Error(nil, "error")
		var got []string
		for line := range strings.Lines(out.String()) {
			var told struct {
				Msg string `json:"msg"`
			}
			if err := json.Unmarshal([]byte(line), &told); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			got = append(got, told.Msg)
		}
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %q, want %q", level, got, want)
		}
	}
}

// TestLibrariesWriteTheSameLog: a line in another form is one that no collector reads.
func TestLibrariesWriteTheSameLog(t *testing.T) {
	t.Cleanup(klog.ClearLogger)
	var out bytes.Buffer
	setLog(newLog(&out, zapcore.InfoLevel))
	klog.InfoS("successfully acquired the lease", "lease", "arcane-operator")
	klog.Infof("attempting to acquire %s", "the lease")
	ctrl.Log.Info("starting")
	for line := range strings.Lines(out.String()) {
		var told map[string]any
		if err := json.Unmarshal([]byte(line), &told); err != nil || told["level"] != "info" || told["ts"] == nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	if got := strings.Count(out.String(), "\n"); got != 3 {
		t.Errorf("%d lines of 3: %s", got, out.String())
	}
}

// TestTimesOfTheLogAreReadable: a number of seconds says nothing to who looks for what
// happened at ten past nine.
func TestTimesOfTheLogAreReadable(t *testing.T) {
	var out bytes.Buffer
	newLog(&out, zapcore.InfoLevel).Info("decided")
	var line struct {
		TS string `json:"ts"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if at, err := time.Parse(time.RFC3339Nano, line.TS); err != nil || time.Since(at) > time.Minute {
		t.Errorf("logged at %q: %v", line.TS, err)
	}
}
