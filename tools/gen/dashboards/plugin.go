package main

// The chart stream-plugin puts the class's name, and an UID of its own, in the place of these. No class can be called so.
const (
	anyPluginUID   = "PLUGIN_UID"
	anyPluginClass = "PLUGIN_CLASS"
)

const (
	// Of the selection in the variables: what the operator exports by namespace and class, and what the plugin exports.
	ofItsClass  = `namespace=~"$namespace", stream_class="$class"`
	ofItsStream = ofItsClass + `, stream=~"$stream"`
	// The legend of a panel with a series for each stream.
	byStream = "{{namespace}}/{{stream}}"
)

// plugin is the page of one plugin's streams. The chart stream-plugin installs it for each StreamPlugin.
//
// A version that has been published never changes (helm-charts/stream-plugin/presets): to change this page, have main write
// it to the next version's file, leave the old file in the repository as it is, and name the new one in the next version of
// the presets.
func plugin() dashboard {
	return board(anyPluginUID, "Arcane / Plugin "+anyPluginClass,
		"The streams of StreamClass "+anyPluginClass+": what the plugin moves for each of them, and how far each is behind its source. A stream's name leads to its own dashboard.",
		[]variable{
			constant("class", "Class", anyPluginClass),
			choice("namespace", "Namespace", `arcane_streams{stream_class="$class"}`, "namespace").orAll(),
			choice("stream", "Stream", `arcane_stream_phase{`+ofItsClass+`}`, "stream").orAll(),
		},
		row{"", 3, []placed{
			{14, tiles("Streams", "none",
				"Streams of the class by phase, at this moment.",
				each(phases, "arcane_streams", ofItsClass)...).fixed(grey).coloured(phases).runbook("StreamFailed")},
			{5, tiles("Largest lag", "s",
				"The lag of the stream that is furthest behind its source.",
				query{`max(arcane_plugin_lag_seconds{` + ofItsStream + `, mode="stream"})`, "lag"}).valuesOnly().fixed(grey).empty("Not known")},
			{5, tiles("Versions", "none",
				"Pods by the version of the plugin that runs in them. Two versions at once: an upgrade is under way, or a backfill still runs with the older image.",
				query{`count by (version) (arcane_plugin_build_info{` + ofItsStream + `})`, "{{version}}"}).fixed(calm).empty("No pod runs")},
		}},
		row{"What the plugin moves", 8, []placed{
			{12, series("Rows", "rowsps",
				"Rows that the plugin made durable in the sink in each second, by stream. A line at zero while the stream is Running: nothing changes at the source, or the plugin is stuck; its logs tell.",
				query{`sum by (namespace, stream) (rate(arcane_plugin_rows_total{` + ofItsStream + `}[$__rate_interval]))`, byStream}).toStream()},
			{12, series("Bytes", "Bps",
				"Bytes that the plugin wrote to the sink in each second, by stream.",
				query{`sum by (namespace, stream) (rate(arcane_plugin_bytes_total{` + ofItsStream + `}[$__rate_interval]))`, byStream}).toStream()},
		}},
		row{"", 8, []placed{
			{12, bars("Files",
				"Files that the plugin finished in each step, by stream. Many small files: raise the limits of a batch in the stream's sink.",
				query{`sum by (namespace, stream) (increase(arcane_plugin_files_total{` + ofItsStream + `}[$__interval]))`, byStream}).toStream()},
			{12, series("Rows by what they are", "rowsps",
				"Rows of all chosen streams in each second: changes as they come, and the snapshot that a backfill reads.",
				query{`sum by (mode, kind) (rate(arcane_plugin_rows_total{` + ofItsStream + `}[$__rate_interval]))`, "{{mode}}, {{kind}}"}).stacked().coloured(modes)},
		}},
		row{"How far it is behind", 8, []placed{
			{8, series("Lag", "s",
				"Time since the sink is known to have held all that the source held, by stream. A lag that grows while rows flow: the source writes more than the plugin can move; give it more resources, or backfill again.",
				query{`max by (namespace, stream) (arcane_plugin_lag_seconds{` + ofItsStream + `})`, byStream}).lines().toStream()},
			{8, series("Lag in bytes", "bytes",
				"How much the source has that is not durable in the sink, by stream. A source such as PostgreSQL keeps its log for that long: watch its disk.",
				query{`max by (namespace, stream) (arcane_plugin_lag_bytes{` + ofItsStream + `})`, byStream}).lines().toStream()},
			{8, series("Age of the newest change", "s",
				"Time since the newest change in the sink was made at the source, by stream. It grows on a source without changes, too; the lag then stays small.",
				query{`time() - max by (namespace, stream) (arcane_plugin_last_commit_timestamp_seconds{` + ofItsStream + `})`, byStream}).lines().toStream()},
		}},
	)
}
