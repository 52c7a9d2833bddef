package main

// This file makes the log.

import (
	"io"

	"github.com/go-logr/logr"
	uberzap "go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// unsampled is so low a level that controller-runtime leaves no lines out: of more than
// a hundred in a second that say the same it would write every hundredth, and all
// decisions say the same but for whom they are about.
const unsampled = zapcore.Level(-2)

// newLog writes one line of JSON for each thing that is told from this level on. Its
// times are texts: people read it beside events and the plugins' logs.
func newLog(out io.Writer, level zapcore.Level) logr.Logger {
	readable := zap.JSONEncoder(func(c *zapcore.EncoderConfig) { c.EncodeTime = zapcore.RFC3339NanoTimeEncoder })
	return zap.New(zap.WriteTo(out), readable, zap.Level(unsampled), zap.RawZapOpts(uberzap.IncreaseLevel(level)))
}

// setLog makes it the log of all that runs here: client-go tells of the Lease, and of
// watches that break, through klog.
func setLog(log logr.Logger) {
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("client-go"))
}
