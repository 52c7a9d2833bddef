package main

// backfills is the page about reading everything again: what runs, what waits and for how long.
func backfills() dashboard {
	return board("arcane-backfills", "Arcane / Backfills",
		"Backfill requests: what runs, what waits for how long, how they end.",
		[]variable{
			choice("namespace", "Namespace", "arcane_backfill_requests", "namespace").orAll(),
			choice("class", "Class", `arcane_backfill_requests{namespace=~"$namespace"}`, "stream_class").orAll(),
		},
		row{"", 3, []placed{
			{14, tiles("Requests by phase", "none",
				"Requests that exist. Queued ones wait for their stream, their turn or a slot of their class; Paused ones for a stream to be resumed; Failed ones for somebody to suspend and resume the stream, or to delete the request.",
				each(requestPhases, "arcane_backfill_requests", selected)...).fixed(grey).coloured(requestPhases)},
			{5, tiles("Longest wait for a slot", "s",
				"How long the oldest request has been waiting for a slot of its class, in all namespaces. Slots are given oldest first: raise spec.backfill.maxConcurrent of the class, or look why the running ones take so long.",
				query{`max(time() - arcane_backfill_queue_oldest_timestamp_seconds{` + ofClass + `})`, "wait"}).valuesOnly().from(3600, warning).from(6*3600, bad).empty("Nothing waits").runbook("BackfillQueueGrowing")},
			{5, tiles("Failed in this window", "none",
				"Backfills that failed in this window. Each waits for somebody: the failed job and its logs are kept.",
				query{`sum(increase(arcane_backfills_finished_total{result="failed", ` + selected + `}[$__range])) or vector(0)`, "failed"}).valuesOnly().decimals(0).from(0.5, bad).runbook("BackfillFailed")},
		}},
		row{"", 7, []placed{
			{12, series("Requests that are not done", "none",
				"Requests over time, without those that are over. Queued ones that only grow: more backfills are asked for than the slots can take.",
				query{`sum by (phase) (arcane_backfill_requests{phase!~"Completed|Cancelled", ` + selected + `})`, "{{phase}}"}).coloured(requestPhases).stacked().runbook("BackfillQueueGrowing")},
			{12, bars("Backfills finished", "Backfills that ended in each step, by result.",
				query{`sum by (result) (increase(arcane_backfills_finished_total{` + selected + `}[$__interval]))`, "{{result}}"}).coloured(outcomes).runbook("BackfillFailed")},
		}},
		row{"Slots", 7, backfillSlots()},
		row{"Duration", 7, backfillDuration()},
	)
}

func backfillSlots() []placed {
	return []placed{
		{8, gauges("Slots in use", "percentunit",
			"Of the backfills that a class allows at once, the part that is taken, in all namespaces. Full for long, with requests waiting: raise spec.backfill.maxConcurrent if source and cluster can bear it. Classes without a limit are not shown.",
			query{`sort_desc(sum by (stream_class) (arcane_backfill_requests{phase=~"Granted|Running", ` + ofClass + `}) / on (stream_class) max by (stream_class) (arcane_streamclass_backfill_slots{` + ofClass + `}))`, "{{stream_class}}"}).
			upTo(1).base(calm).from(1, warning)},
		{8, series("Oldest request that waits for a slot", "s",
			"How long the oldest request of each class has been waiting, at each moment, in all namespaces. A straight slope upwards is one request that does not get its turn.",
			query{`time() - min by (stream_class) (arcane_backfill_queue_oldest_timestamp_seconds{` + ofClass + `})`, "{{stream_class}}"}).lines().runbook("BackfillQueueGrowing")},
		{8, series("Wait from request to start", "s",
			"What those waited that were started in the hour before each moment: the middle and the slowest 5 in 100. It counts all waiting, also for a suspended stream.",
			query{quantile(0.5, "", "arcane_backfill_queue_wait_seconds", ofClass, "1h"), "median"},
			query{quantile(0.95, "", "arcane_backfill_queue_wait_seconds", ofClass, "1h"), "p95"}).lines().runbook("BackfillQueueGrowing")},
	}
}

func backfillDuration() []placed {
	return []placed{
		{12, series("Duration of completed backfills", "s",
			"From the start of the job until its success was recorded, of those that ended in the hour before each moment: the middle and the slowest 5 in 100, by what asked for them.",
			query{quantile(0.5, "trigger", "arcane_backfill_duration_seconds", `result="completed", `+ofClass, "1h"), "{{trigger}}, median"},
			query{quantile(0.95, "trigger", "arcane_backfill_duration_seconds", `result="completed", `+ofClass, "1h"), "{{trigger}}, p95"}).lines()},
		{12, table("By class", "Backfills of this window by class: how many completed and failed, and how long the completed ones took.",
			[]column{
				{field: "stream_class", heading: "Class"},
				{field: "Value #A", heading: "Completed"},
				{field: "Value #B", heading: "Failed"},
				{field: "Value #C", heading: "Duration, median", unit: "s"},
				{field: "Value #D", heading: "Duration, p95", unit: "s"},
				{field: "Value #E", heading: "Wait, p95", unit: "s"},
			},
			query{expr: `round(sum by (stream_class) (increase(arcane_backfills_finished_total{result="completed", ` + selected + `}[$__range])))`},
			query{expr: `round(sum by (stream_class) (increase(arcane_backfills_finished_total{result="failed", ` + selected + `}[$__range])))`},
			query{expr: quantile(0.5, "stream_class", "arcane_backfill_duration_seconds", `result="completed", `+ofClass, "$__range")},
			query{expr: quantile(0.95, "stream_class", "arcane_backfill_duration_seconds", `result="completed", `+ofClass, "$__range")},
			query{expr: quantile(0.95, "stream_class", "arcane_backfill_queue_wait_seconds", ofClass, "$__range")},
		).runbook("BackfillFailed")},
	}
}
