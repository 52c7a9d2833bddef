package main

// The class of the stream that is shown: what is told by class only is narrowed down to it.
const (
	itsClass       = ` and on (stream_class) arcane_stream_phase{` + oneStream + `}`
	itsWindow      = `1h`
	whereTheClass  = "Told for all streams of this stream's class, as the operator keeps no such numbers for each stream."
	whereNamespace = "Told for all streams of this stream's class in its namespace, as the operator keeps no such numbers for each stream."
)

// stream is the page of one stream.
func stream() dashboard {
	return board("arcane-stream", "Arcane / Stream",
		"One stream: its phases over time, what holds it up, what its plugin moves.",
		[]variable{
			choice("namespace", "Namespace", "arcane_stream_phase", "namespace"),
			choice("class", "Class", `arcane_stream_phase{namespace="$namespace"}`, "stream_class").orAll(),
			choice("stream", "Stream", `arcane_stream_phase{namespace="$namespace", stream_class=~"$class"}`, "stream"),
		},
		row{"", 3, streamNow()},
		row{"", 4, []placed{
			{24, timeline("Phase",
				"The stream's phase over time. A gap is a time in which no operator told it, or in which the stream did not exist.",
				phaseNames(), query{phaseNumbers("stream", oneStream), "{{stream}}"})},
		}},
		row{"", 5, []placed{
			{16, timeline("Ready, and what stalls it",
				"Whether the condition Ready held, and for which reason the stream was stalled. The reference of reasons says what each means and what to do.",
				oneOf(coloured{"Not ready", warning}, coloured{"Ready", good}),
				query{`max by (stream) (arcane_stream_ready{` + oneStream + `})`, "Ready"},
				query{`max by (reason) (arcane_stream_stalled{` + oneStream + `}) * 2`, "{{reason}}"}).
				alsoMapped("2", coloured{"Stalled", bad}).runbook("StreamStalled")},
			{8, gauges("Time in each phase", "percentunit",
				"The part of this window that the stream spent in each phase, of the time for which it is known.",
				query{`sort_desc(sum by (phase) (count_over_time(arcane_stream_phase{` + oneStream + `}[$__range])) / scalar(sum(count_over_time(arcane_stream_phase{` + oneStream + `}[$__range]))))`, "{{phase}}"}).
				upTo(1).fixed(grey).coloured(phases)},
		}},
		row{"What the plugin moves", 7, []placed{
			{8, series("Rows", "rowsps",
				"Rows that the stream's plugin made durable in the sink in each second: changes as they come, and the snapshot that a backfill reads. A line at zero while the phase is Running: nothing changes at the source, or the plugin is stuck; its logs tell. Plugins without metrics show nothing here.",
				query{`sum by (mode, kind) (rate(arcane_plugin_rows_total{` + oneStream + `}[$__rate_interval]))`, "{{mode}}, {{kind}}"}).coloured(modes)},
			{8, series("Bytes", "Bps",
				"Bytes that the stream's plugin wrote for them in each second.",
				query{`sum by (mode, kind) (rate(arcane_plugin_bytes_total{` + oneStream + `}[$__rate_interval]))`, "{{mode}}, {{kind}}"}).coloured(modes)},
			{8, series("Lag", "s",
				"Time since the sink is known to have held all that the source held. A lag that grows while rows flow: the source writes more than the plugin can move; give it more resources, or backfill again.",
				query{`max by (mode) (arcane_plugin_lag_seconds{` + oneStream + `})`, "{{mode}}"}).coloured(modes)},
		}},
		row{"Jobs of its class", 7, []placed{
			{8, series("Jobs that exist", "none",
				"Jobs by mode and phase. "+whereNamespace,
				existing(`namespace="$namespace"`, itsClass)).stacked().coloured(jobs)},
			{8, bars("Jobs finished", "Jobs that ended in each step, by outcome. "+whereNamespace,
				query{`sum by (outcome) (increase(arcane_jobs_finished_total{namespace="$namespace"}[$__interval])` + itsClass + `)`, "{{outcome}}"}).coloured(outcomes).runbook("StreamFailed")},
			{8, bars("Automatic restarts", "Restarts that the operator made after failures, by the failure's class. "+whereNamespace,
				query{`sum by (failure_class) (increase(arcane_stream_restarts_total{namespace="$namespace"}[$__interval])` + itsClass + `)`, "{{failure_class}}"}).shades(warning).runbook("StreamCrashLooping")},
		}},
		row{"", 7, []placed{
			{8, quantiles("Start", "From the making of a job until its pod runs. Long ones are images that are pulled, or nodes without room. "+whereTheClass, "mode", "arcane_stream_start_duration_seconds")},
			{8, quantiles("Stop", "From the wish to stop a job until it and its pods are gone. Killed ones used up their grace period: the plugin should end on SIGTERM. "+whereTheClass, "end", "arcane_stream_stop_duration_seconds")},
			{8, quantiles("Recovery", "From a stream's first failure until it runs again, by itself or by its user. "+whereTheClass, "", "arcane_stream_recovery_duration_seconds")},
		}},
	)
}

func streamNow() []placed {
	return []placed{
		{5, tiles("Phase", "none",
			"The phase at this moment. The condition Ready of the stream says more: kubectl describe stream.",
			query{phaseNumbers("stream", oneStream), "{{stream}}"}).valuesOnly().mapped(phaseNames()).fixed(grey).empty("No such stream").runbook("StreamFailed")},
		{5, tiles("In this phase for", "s",
			"Time since the last change of the phase.",
			query{`time() - max by (stream) (arcane_stream_phase_since_timestamp_seconds{` + oneStream + `})`, "{{stream}}"}).valuesOnly().fixed(grey)},
		{4, tiles("Ready", "none",
			"Whether what was declared is reached, or served as designed. Not ready for long: see what stalls it.",
			query{`max by (stream) (arcane_stream_ready{` + oneStream + `})`, "{{stream}}"}).valuesOnly().mapped(oneOf(coloured{"No", warning}, coloured{"Yes", good})).fixed(grey)},
		{6, tiles("Stalled", "none",
			"Why nothing happens until somebody acts.",
			query{`max by (reason) (arcane_stream_stalled{` + oneStream + `})`, "{{reason}}"}).names().fixed(bad).empty("No").runbook("StreamStalled")},
		{4, tiles("Class", "none",
			"The stream's class.",
			query{`max by (stream_class) (arcane_stream_phase{` + oneStream + `})`, "{{stream_class}}"}).names().fixed(calm)},
	}
}

// quantiles shows the middle and the slow end of a histogram of this stream's class; events are rare, so of a whole hour.
func quantiles(title, description, by, histogram string) *panel {
	legend := func(what string) string {
		if by == "" {
			return what
		}
		return "{{" + by + "}}, " + what
	}
	of := func(q float64) string {
		labels := "stream_class"
		if by != "" {
			labels += ", " + by
		}
		return quantile(q, labels, histogram, ofClass, itsWindow) + itsClass
	}
	return series(title, "s", "Over the hour before each moment: the middle and the slowest 5 in 100. "+description,
		query{of(0.5), legend("median")}, query{of(0.95), legend("p95")}).lines()
}
