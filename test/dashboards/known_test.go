package main

// This file lists the metrics that the dashboards may use, with their labels. A label with values is a closed set.

type labelSet map[string][]string

var (
	phases        = []string{"Pending", "Backfilling", "Running", "Scheduled", "Suspended", "Failed"}
	requestPhases = []string{"Queued", "Granted", "Running", "Paused", "Completed", "Failed", "Cancelled"}
	modes         = []string{"stream", "backfill", "scheduled"}
	triggers      = []string{"initial", "gap", "user"}
	results       = []string{"completed", "failed", "cancelled"}
)

// everywhere are the labels that the scrape adds.
var everywhere = []string{"job", "instance"}

// operators are Arcane's own.
var operators = map[string]labelSet{
	"arcane_streams":                                          {"namespace": nil, "stream_class": nil, "phase": phases},
	"arcane_streams_stalled":                                  {"namespace": nil, "stream_class": nil, "reason": nil},
	"arcane_stream_jobs":                                      {"namespace": nil, "stream_class": nil, "mode": modes, "phase": {"held", "active", "stopping", "succeeded", "failed"}},
	"arcane_backfill_requests":                                {"namespace": nil, "stream_class": nil, "phase": requestPhases},
	"arcane_backfill_queue_oldest_timestamp_seconds":          {"stream_class": nil},
	"arcane_streamclass_backfill_slots":                       {"stream_class": nil},
	"arcane_streamclass_watch_up":                             {"stream_class": nil},
	"arcane_stream_phase":                                     {"namespace": nil, "stream": nil, "stream_class": nil, "phase": phases},
	"arcane_stream_phase_since_timestamp_seconds":             {"namespace": nil, "stream": nil, "stream_class": nil},
	"arcane_stream_ready":                                     {"namespace": nil, "stream": nil, "stream_class": nil},
	"arcane_stream_stalled":                                   {"namespace": nil, "stream": nil, "stream_class": nil, "reason": nil},
	"arcane_jobs_finished_total":                              {"namespace": nil, "stream_class": nil, "mode": modes, "outcome": {"succeeded", "failed", "interrupted", "stopped", "vanished"}, "failure_class": nil},
	"arcane_backfills_finished_total":                         {"namespace": nil, "stream_class": nil, "trigger": triggers, "result": results},
	"arcane_stream_transitions_total":                         {"from": nil, "to": phases},
	"arcane_stream_restarts_total":                            {"namespace": nil, "stream_class": nil, "failure_class": nil},
	"arcane_decisions_total":                                  {"rule": nil},
	"arcane_stream_start_duration_seconds_bucket":             {"stream_class": nil, "mode": modes, "le": nil},
	"arcane_stream_stop_duration_seconds_bucket":              {"stream_class": nil, "end": {"graceful", "killed"}, "le": nil},
	"arcane_stream_recovery_duration_seconds_bucket":          {"stream_class": nil, "le": nil},
	"arcane_backfill_duration_seconds_bucket":                 {"stream_class": nil, "trigger": triggers, "result": {"completed", "failed"}, "le": nil},
	"arcane_backfill_queue_wait_seconds_bucket":               {"stream_class": nil, "le": nil},
	"arcane_webhook_requests_denied_total":                    {"resource": nil, "rule": nil},
	"arcane_webhook_certificate_expiration_timestamp_seconds": {},
	"arcane_build_info":                                       {"version": nil, "go_version": nil},
	"arcane_leader":                                           {},
}

// others are told by the plugins, by what the operator is built with, and by Prometheus itself.
var others = map[string]labelSet{
	"arcane_plugin_rows_total":                          {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes, "kind": nil},
	"arcane_plugin_bytes_total":                         {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes, "kind": nil},
	"arcane_plugin_lag_seconds":                         {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes},
	"controller_runtime_reconcile_total":                {"controller": nil, "result": nil},
	"controller_runtime_reconcile_errors_total":         {"controller": nil},
	"controller_runtime_reconcile_time_seconds_bucket":  {"controller": nil, "le": nil},
	"controller_runtime_active_workers":                 {"controller": nil},
	"controller_runtime_max_concurrent_reconciles":      {"controller": nil},
	"controller_runtime_webhook_requests_total":         {"webhook": nil, "code": nil},
	"controller_runtime_webhook_latency_seconds_bucket": {"webhook": nil, "le": nil},
	"workqueue_depth":                                   {"name": nil, "controller": nil, "priority": nil},
	"workqueue_queue_duration_seconds_bucket":           {"name": nil, "controller": nil, "le": nil},
	"workqueue_longest_running_processor_seconds":       {"name": nil, "controller": nil},
	"rest_client_requests_total":                        {"code": nil, "method": nil, "host": nil},
	"process_cpu_seconds_total":                         {},
	"process_resident_memory_bytes":                     {},
	"scrape_duration_seconds":                           {},
	"scrape_samples_scraped":                            {},
	"ALERTS":                                            {"alertname": nil, "alertstate": {"firing", "pending"}, "severity": nil, "app": nil, "namespace": nil, "stream": nil, "stream_class": nil},
}

// unused are metrics of Arcane's that no panel shows, each for a reason.
var unused = map[string]string{}

// runbooks are the alerts that have a page.
var runbooks = []string{
	"OperatorDown", "ReconcileStuck", "StreamFailed", "StreamCrashLooping", "StreamStalled", "BackfillFailed", "BackfillQueueGrowing",
	"StreamClassNotWatched", "WebhookCertificateExpiring",
}
