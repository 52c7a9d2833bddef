package main

// fleet is the first page: how many streams are in which phase, who is in trouble, why and since when.
func fleet() dashboard {
	return board("arcane-fleet", "Arcane / Fleet",
		"All streams: their phases, who is in trouble and why, what their jobs came to. A stream's name leads to its own dashboard.",
		[]variable{
			choice("namespace", "Namespace", "arcane_streams", "namespace").orAll(),
			choice("class", "Class", `arcane_streams{namespace=~"$namespace"}`, "stream_class").orAll(),
		},
		row{"", 3, fleetNow()},
		row{"Trouble", 7, []placed{
			{15, fleetTrouble()},
			{9, fleetAlerts()},
		}},
		row{"History", 7, []placed{
			{12, series("Streams by phase", "none",
				"How many streams were in each phase. A band of Failed or Pending that grows says that something common to many streams broke: a class, a template, a registry, a source.",
				query{`sum by (phase) (arcane_streams{` + selected + `})`, "{{phase}}"}).coloured(phases).stacked()},
			{12, series("Stalled streams by reason", "none",
				"Streams for which nothing happens until somebody acts, by the reason of the condition Stalled. The reference of reasons says what to do about each.",
				query{`sum by (reason) (arcane_streams_stalled{` + selected + `})`, "{{reason}}"}).stacked().coloured(reasons).runbook("StreamStalled")},
		}},
		row{"", 10, []placed{
			{24, timeline("Streams that changed phase or are stalled",
				"The phases over time of each stream that was in more than one phase in this window, or that is stalled at its end. Streams that quietly stayed as they were are left out. Click a stream to see it alone. Needs --per-stream-metrics=all for the whole picture.",
				phaseNames(), query{changed(), "{{namespace}}/{{stream}}"}).toStream()},
		}},
		row{"Jobs", 7, []placed{
			{8, bars("Jobs finished", "Jobs that ended in each step, by outcome. Stopped is the operator's own doing: a suspension, a change, a backfill that came first. Failures that come in regular distances belong to a stream that restarts.",
				query{`sum by (outcome) (increase(arcane_jobs_finished_total{` + selected + `}[$__interval]))`, "{{outcome}}"}).coloured(outcomes)},
			{8, bars("Automatic restarts", "Restarts that the operator made after a failure, by the failure's class. Restarts that go on for long use up the stream's budget, and it is Failed then: look at the class before that.",
				query{`sum by (failure_class) (increase(arcane_stream_restarts_total{` + selected + `}[$__interval]))`, "{{failure_class}}"}).shades(warning).runbook("StreamCrashLooping")},
			{8, series("Jobs that exist", "none",
				"Jobs of the streams in the cluster, by mode and phase. Active ones are what the streams cost now; stopping ones that stay have a pod that does not end.",
				existing(selected, "")).stacked().coloured(jobs)},
		}},
		row{"Classes", 5, []placed{{24, fleetClasses()}}},
	)
}

func fleetNow() []placed {
	return []placed{
		{12, tiles("Streams by phase", "none",
			"Streams in each phase at this moment. Failed ones wait for their owner, Pending ones are on their way or wait for something that is missing.",
			each(phases, "arcane_streams", selected)...).fixed(grey).coloured(phases)},
		{3, tiles("Stalled", "none",
			"Streams that do not go on until somebody acts; Failed ones are among them. The table below names them.",
			query{`sum(arcane_streams_stalled{` + selected + `}) or vector(0)`, "stalled"}).valuesOnly().from(1, bad).runbook("StreamStalled")},
		{3, tiles("Backfills running", "none",
			"Backfills that run at this moment. The dashboard Backfills has their durations and the queue.",
			query{`sum(arcane_backfill_requests{phase="Running", ` + selected + `}) or vector(0)`, "running"}).valuesOnly().fixed(calm)},
		{3, tiles("Backfills waiting", "none",
			"Requests that wait: for their turn, for a slot of their class, for a stream that is suspended or failed. A number that stays is worth a look at the dashboard Backfills.",
			query{`sum(arcane_backfill_requests{phase=~"Queued|Granted|Paused", ` + selected + `}) or vector(0)`, "waiting"}).valuesOnly().fixed(yellow).runbook("BackfillQueueGrowing")},
		{3, tiles("Classes not watched", "none",
			"Classes whose streams nobody looks after. Their jobs run on, but changes, failures and requests are not seen.",
			query{`count(arcane_streamclass_watch_up{` + ofClass + `} == 0) or vector(0)`, "not watched"}).valuesOnly().from(1, bad).runbook("StreamClassNotWatched")},
	}
}

// fleetTrouble joins, for each stalled stream, its reason with its phase and the time in it. topk, since two operators
// may tell two phases for the moment in which one takes over, and a join bears only one.
func fleetTrouble() *panel {
	expr := `max by (namespace, stream, stream_class, reason) (arcane_stream_stalled{` + selected + `})
  * on (namespace, stream) group_left (phase)
    topk by (namespace, stream) (1, max by (namespace, stream, phase) (arcane_stream_phase{` + selected + `}))
  * on (namespace, stream) group_left ()
    (time() - max by (namespace, stream) (arcane_stream_phase_since_timestamp_seconds{` + selected + `}))`
	return table("Streams in trouble", "Streams that are stalled, why, and how long they have been in their phase. kubectl describe names the cause in full; for a Failed one, correct what is wrong, then suspend and resume it. Empty is good.", []column{
		{field: "namespace", heading: "Namespace"},
		{field: "stream", heading: "Stream", links: []dataLink{streamLink("${__data.fields.Namespace}", "${__data.fields.Stream}")}},
		{field: "stream_class", heading: "Class"},
		{field: "phase", heading: "Phase"},
		{field: "reason", heading: "Why"},
		{field: "Value", heading: "In this phase for", unit: "s"},
	}, query{expr: expr}).sorted("In this phase for").empty("No stream is in trouble").runbook("StreamFailed").runbook("StreamStalled")
}

func fleetAlerts() *panel {
	return table("Alerts", "Alerts of Arcane's that fire now; each name leads to its runbook. They need config/prometheus, else this stays empty.", []column{
		{field: "alertname", heading: "Alert", links: []dataLink{{Title: "Runbook", URL: runbooks + "${__value.raw}.md", TargetBlank: true}}},
		{field: "severity", heading: "Severity"},
		{field: "namespace", heading: "Namespace"},
		{field: "stream", heading: "Stream"},
		{field: "stream_class", heading: "Class"},
	}, query{expr: `max by (alertname, severity, namespace, stream, stream_class) (ALERTS{alertstate="firing", app="arcane"})`}).
		empty("No alert fires")
}

// changed narrows the phases of all streams down to those that are worth a line: a line each for ten thousand is none.
func changed() string {
	return phaseNumbers("namespace, stream", selected) + `
and on (namespace, stream) (
  count by (namespace, stream) (count by (namespace, stream, phase) (count_over_time(arcane_stream_phase{` + selected + `}[$__range] @ end()))) > 1
  or max by (namespace, stream) (arcane_stream_stalled{` + selected + `} @ end())
)`
}

func fleetClasses() *panel {
	return table("Classes", "What each class's streams do, and how long they took in this window: to start (job made until its pod runs), to be stopped, to run again after a failure; the slowest 5 in 100. Slow starts are mostly images and full nodes, slow stops a plugin that does not heed SIGTERM.", []column{
		{field: "stream_class", heading: "Class"},
		{field: "Value #A", heading: "Streams"},
		{field: "Value #B", heading: "Stalled"},
		{field: "Value #C", heading: "Active jobs"},
		{field: "Value #D", heading: "Start, median", unit: "s"},
		{field: "Value #E", heading: "Start, p95", unit: "s"},
		{field: "Value #F", heading: "Stop, p95", unit: "s"},
		{field: "Value #G", heading: "Recovery, p95", unit: "s"},
	},
		query{expr: `sum by (stream_class) (arcane_streams{` + selected + `})`},
		query{expr: `sum by (stream_class) (arcane_streams_stalled{` + selected + `})`},
		query{expr: `sum by (stream_class) (arcane_stream_jobs{phase="active", ` + selected + `})`},
		query{expr: quantile(0.5, "stream_class", "arcane_stream_start_duration_seconds", ofClass, "$__range")},
		query{expr: quantile(0.95, "stream_class", "arcane_stream_start_duration_seconds", ofClass, "$__range")},
		query{expr: quantile(0.95, "stream_class", "arcane_stream_stop_duration_seconds", ofClass, "$__range")},
		query{expr: quantile(0.95, "stream_class", "arcane_stream_recovery_duration_seconds", ofClass, "$__range")},
	)
}
