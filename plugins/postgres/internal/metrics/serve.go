package metrics

// This file answers scrapes.

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

// Path is where the metrics are, by the convention.
const Path = "/metrics"

const (
	// headerTime is how long a client may take to say what it wants.
	headerTime = 5 * time.Second
	// lastScrape is how long a scrape that has begun may hold up the end of the job.
	lastScrape = time.Second
)

// Serve answers scrapes until the function that it returns is called. Data come
// first: that the address cannot be had is said, and the job goes on without. An
// empty address serves nobody.
func (m *Metrics) Serve(ctx context.Context, address string, log *slog.Logger) (stop func()) {
	if address == "" {
		return func() {}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		log.Warn("the job goes on without metrics", "error", err.Error())
		return func() {}
	}
	routes := http.NewServeMux()
	routes.Handle("GET "+Path, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: routes, ReadHeaderTimeout: headerTime, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := exit.Guard(func() error { return server.Serve(listener) })
		if !errors.Is(err, http.ErrServerClosed) {
			log.Warn("the job goes on without metrics", "error", err.Error())
		}
	}()
	log.Info("metrics", "address", listener.Addr().String())
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastScrape)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close() // It said why it does not end, and the process does.
		}
		<-done
	}
}
