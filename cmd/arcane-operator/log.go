package main

// This file makes the operator's log.

import (
	"io"

	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// newLog writes one JSON object to a line. Its times are texts: people read it beside
// events and the plugins' logs.
func newLog(level zapcore.Level, out io.Writer) logr.Logger {
	return zap.New(zap.Level(level), zap.WriteTo(out), zap.JSONEncoder(func(c *zapcore.EncoderConfig) {
		c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	}))
}
