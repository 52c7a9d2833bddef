package main

// This file lists which metrics the dashboards may use besides those of docs/metrics.md.

var modes = []string{"stream", "backfill", "scheduled"}

// everywhere are the labels that the scrape adds.
var everywhere = []string{"job", "instance"}

// others are told by the plugins, by what the operator is built with, and by Prometheus itself.
var others = map[string]labelSet{
	"arcane_plugin_rows_total":                          {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes, "kind": nil},
	"arcane_plugin_bytes_total":                         {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes, "kind": nil},
	"arcane_plugin_lag_seconds":                         {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes},
	"arcane_plugin_files_total":                         {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes, "kind": nil},
	"arcane_plugin_lag_bytes":                           {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes},
	"arcane_plugin_last_commit_timestamp_seconds":       {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "mode": modes},
	"arcane_plugin_build_info":                          {"namespace": nil, "stream": nil, "stream_class": nil, "pod": nil, "plugin": nil, "version": nil, "go_version": nil},
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
