package main

// operator is the page about the operator itself: does it lead, does it keep up, what does it cost.
func operator() dashboard {
	return board("arcane-operator", "Arcane / Operator",
		"The operator: who leads, whether it keeps up, what it decides, what it asks of the API server, what its webhooks refuse.",
		[]variable{choice("job", "Job", "arcane_build_info", "job").orAll()},
		row{"", 3, operatorNow()},
		row{"", 4, []placed{
			{12, timeline("Who leads",
				"Which replica acts; the others stand by with warm caches. Times without a leader are times without decisions: streams run on, changes wait.",
				oneOf(coloured{"Stands by", grey}, coloured{"Leads", good}),
				query{`max by (instance) (arcane_leader{` + ofOperator + `})`, "{{instance}}"}).runbook("OperatorDown")},
			{12, timeline("Classes watched",
				"Whether the streams of each class are watched. Not watched: its kind is gone, cannot be read, or its caches are behind.",
				oneOf(coloured{"Not watched", bad}, coloured{"Watched", good}),
				query{`max by (stream_class) (arcane_streamclass_watch_up{` + ofOperator + `})`, "{{stream_class}}"}).runbook("StreamClassNotWatched")},
		}},
		row{"Work", 7, operatorWork()},
		row{"Decisions", 8, operatorDecisions()},
		row{"API server", 7, operatorAPI()},
		row{"Webhooks", 7, operatorWebhooks()},
		row{"Scrapes", 7, operatorScrapes()},
	)
}

func operatorNow() []placed {
	return []placed{
		{6, tiles("Leader", "none",
			"The replica that acts. None: no decision is taken until one gets the Lease.",
			query{`max by (instance) (arcane_leader{` + ofOperator + `}) == 1`, "{{instance}}"}).names().fixed(good).empty("None").runbook("OperatorDown")},
		{3, tiles("Replicas", "none",
			"Replicas that answer Prometheus. One is enough; two make a takeover short.",
			query{`count(max by (instance) (arcane_leader{` + ofOperator + `})) or vector(0)`, "replicas"}).valuesOnly().base(bad).from(1, good).runbook("OperatorDown")},
		{5, tiles("Build", "none",
			"Versions that run. Two at once are an upgrade under way.",
			query{`count by (version) (arcane_build_info{` + ofOperator + `})`, "{{version}}"}).names().fixed(calm)},
		{4, tiles("Certificate valid for", "s",
			"Until the webhooks' certificate ends. It is replaced long before; less than a week means that this did not work, and at zero creating and changing streams is refused.",
			query{`min(arcane_webhook_certificate_expiration_timestamp_seconds{` + ofOperator + `}) - time()`, "left"}).valuesOnly().base(bad).from(2*86400, warning).from(7*86400, good).runbook("WebhookCertificateExpiring")},
		{3, tiles("Longest reconcile", "s",
			"How long the longest reconcile under way has been running. Minutes mean that a worker is stuck.",
			query{`max(workqueue_longest_running_processor_seconds{` + ofOperator + `})`, "longest"}).valuesOnly().from(60, warning).from(300, bad).runbook("ReconcileStuck")},
		{3, tiles("Refused today", "none",
			"Writes that the webhooks refused in the last 24 hours.",
			query{`sum(increase(arcane_webhook_requests_denied_total{` + ofOperator + `}[24h])) or vector(0)`, "refused"}).valuesOnly().decimals(0).fixed(grey)},
	}
}

func operatorWork() []placed {
	return []placed{
		{8, series("Reconciles", "ops",
			"Reconciles in each second, by controller. A fleet at rest needs none; a high line without changes is a loop: see the decisions.",
			query{`sum by (controller) (rate(controller_runtime_reconcile_total{` + ofOperator + `}[$__rate_interval]))`, "{{controller}}"}).stacked()},
		{8, series("Errors", "ops",
			"Reconciles that the cluster did not let end, in each second. The operator tries again by itself; errors that stay are in its log.",
			query{`sum by (controller) (rate(controller_runtime_reconcile_errors_total{` + ofOperator + `}[$__rate_interval]))`, "{{controller}}"}).runbook("ReconcileStuck")},
		{8, series("Duration of reconciles", "s",
			"The slowest 1 in 100 reconciles, by controller. It is mostly the API server's answer.",
			query{`histogram_quantile(0.99, sum by (le, controller) (rate(controller_runtime_reconcile_time_seconds_bucket{` + ofOperator + `}[$__rate_interval]))) >= 0`, "{{controller}}"}).lines().runbook("ReconcileStuck")},
		{8, series("Waiting in queues", "none",
			"Keys that wait to be reconciled. A queue that only grows: more changes than workers; raise --workers, or see what makes the changes.",
			query{`sum by (controller) (workqueue_depth{` + ofOperator + `})`, "{{controller}}"}).stacked().runbook("ReconcileStuck")},
		{8, series("Wait in queues", "s",
			"How long the slowest 1 in 100 keys waited before they were looked at.",
			query{`histogram_quantile(0.99, sum by (le, controller) (rate(workqueue_queue_duration_seconds_bucket{` + ofOperator + `}[$__rate_interval]))) >= 0`, "{{controller}}"}).lines().runbook("ReconcileStuck")},
		{8, series("Workers at work", "percentunit",
			"The part of a controller's workers that are busy. All busy for long: they wait for the API server, or there are too few (--workers).",
			query{`sum by (controller) (controller_runtime_active_workers{` + ofOperator + `}) / sum by (controller) (controller_runtime_max_concurrent_reconciles{` + ofOperator + `})`, "{{controller}}"}).upTo(1)},
	}
}

func operatorDecisions() []placed {
	return []placed{
		{8, gauges("Decisions by rule", "none",
			"Which rules of the lifecycle's table won in this window, the most frequent ones. The table in internal/lifecycle says what each does.",
			query{`sort_desc(topk(10, round(sum by (rule) (increase(arcane_decisions_total{` + ofOperator + `}[$__range]))) > 0))`, "{{rule}}"}).fixed(calm)},
		{8, series("Decisions over time", "ops",
			"Decisions in each second, by rule, the most frequent ones of this window.",
			query{`sum by (rule) (rate(arcane_decisions_total{` + ofOperator + `}[$__rate_interval])) and on (rule) topk(8, sum by (rule) (increase(arcane_decisions_total{` + ofOperator + `}[$__range] @ end())))`, "{{rule}}"}).stacked()},
		{8, bars("Changes of phase", "Changes of phase that were written in each step. A pair that goes back and forth is a stream that cannot settle: Fleet shows which.",
			query{`sum by (from, to) (increase(arcane_stream_transitions_total{` + ofOperator + `}[$__interval])) > 0`, "{{from}} → {{to}}"})},
	}
}

func operatorAPI() []placed {
	return []placed{
		{8, series("Requests by method", "reqps",
			"Requests to the API server in each second. At rest it is the renewal of the Lease and little else.",
			query{`sum by (method) (rate(rest_client_requests_total{` + ofOperator + `}[$__rate_interval]))`, "{{method}}"}).stacked()},
		{8, series("Requests refused", "reqps",
			"Answers other than success, by code. 409 is a lost race and tried again at once; 403 is a right that is missing; 429 and 5xx an API server in trouble.",
			query{`sum by (code) (rate(rest_client_requests_total{code!~"2..", ` + ofOperator + `}[$__rate_interval]))`, "{{code}}"}).runbook("ReconcileStuck")},
		{8, series("Memory", "bytes",
			"Resident memory of each replica. It grows with the number of streams and jobs, as the caches hold them.",
			query{`max by (instance) (process_resident_memory_bytes{` + ofOperator + `})`, "{{instance}}"})},
	}
}

func operatorWebhooks() []placed {
	return []placed{
		{8, series("Requests", "reqps",
			"Requests that the API server put before the webhooks, by code.",
			query{`sum by (code) (rate(controller_runtime_webhook_requests_total{` + ofOperator + `}[$__rate_interval]))`, "{{code}}"}).stacked()},
		{8, bars("Refused", "What was refused in each step, by kind and rule. Users got the reason in the answer; many of one rule point at a template or a pipeline that is wrong.",
			query{`sum by (resource, rule) (increase(arcane_webhook_requests_denied_total{` + ofOperator + `}[$__interval]))`, "{{resource}}: {{rule}}"}).shades(warning)},
		{8, series("Latency", "s",
			"The slowest 1 in 100 answers of each webhook. Users wait for it with every write.",
			query{`histogram_quantile(0.99, sum by (le, webhook) (rate(controller_runtime_webhook_latency_seconds_bucket{` + ofOperator + `}[$__rate_interval]))) >= 0`, "{{webhook}}"}).lines()},
	}
}

func operatorScrapes() []placed {
	return []placed{
		{8, series("CPU", "percentunit",
			"CPU of each replica; 100 % is one core.",
			query{`max by (instance) (rate(process_cpu_seconds_total{` + ofOperator + `}[$__rate_interval]))`, "{{instance}}"})},
		{8, series("Duration of a scrape", "s",
			"How long Prometheus waited for the metrics. The gauges of streams are counted at that moment, so it grows with the fleet.",
			query{`max by (instance) (scrape_duration_seconds{` + ofOperator + `})`, "{{instance}}"})},
		{8, series("Series", "none",
			"Series of each replica. Most are per stream: --per-stream-metrics=unhealthy or none cuts them.",
			query{`max by (instance) (scrape_samples_scraped{` + ofOperator + `})`, "{{instance}}"})},
	}
}
