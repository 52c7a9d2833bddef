package main

// This file is the list of the known bugs: what each does to the user, and to the source.

// catalog is the ten.
var catalog = []mutant{
	{
		name: "random child names",
		harm: "Two starts of one run make two jobs, because the job's name is no longer their lock.",
		edits: []edit{
			{"internal/jobspec/jobspec.go", "Name(d.Name, d.UID, d.Kind, in.Run)", `Name(d.Name, d.UID, d.Kind, in.Run) + strconv.FormatInt(time.Now().UnixNano(), 36)`},
			{"internal/jobspec/jobspec.go", "\t\"strconv\"\n", "\t\"strconv\"\n\t\"time\"\n"},
		},
		suites: []suite{model},
	},
	{
		name: "no UID precondition",
		harm: "A job that a user has just put in the place of ours is deleted in its stead.",
		edits: []edit{
			{"internal/stream/apply.go", "client.Preconditions{UID: &j.UID, ResourceVersion: &j.ResourceVersion}", "client.Preconditions{}"},
		},
		suites: []suite{model},
	},
	{
		name: "start without the live look",
		harm: "A cache that lags hides the former job's pod, and two jobs write at once.",
		edits: []edit{
			{"internal/stream/looks.go", "func (p *pass) lookFormer(ctx context.Context) error {\n\tif err := p.lookGone(ctx); err != nil {", "func (p *pass) lookFormer(ctx context.Context) error {\n\tif err := ctx.Err(); err != nil {"},
		},
		suites: []suite{model},
	},
	{
		name: "status before create",
		harm: "The operator dies between saying that the first backfill was requested and requesting it: the stream runs without it.",
		edits: []edit{
			{"internal/lifecycle/rules.go", "do(CreateInitial, RecordInitial)", "do(RecordInitial, CreateInitial)"},
			// The request's UID cannot be in a status that was written before it.
			{"internal/backlog/backlog.go", "q.UID != s.Status.InitialRequestUID", `s.Status.InitialRequestUID != "" && q.UID != s.Status.InitialRequestUID`},
		},
		suites: []suite{stories, model},
	},
	{
		name: "completion by job name instead of UID",
		harm: "Any job that is put under the name of a backfill's completes it, whatever it does.",
		edits: []edit{
			{"internal/stream/observe.go", "err == nil && job.UID == record.UID", "err == nil && (job.UID == record.UID || finished(job))"},
			{"internal/stream/facts.go", "case job.UID != w.record.UID:", "case job.UID != w.record.UID && !finished(job):"},
		},
		suites: []suite{model},
	},
	{
		name: "background deletion",
		harm: "A job that was stopped is gone while its pods still write.",
		edits: []edit{
			{"internal/stream/apply.go", "metav1.DeletePropagationForeground", "metav1.DeletePropagationBackground"},
		},
		suites: []suite{model},
	},
	{
		name: "the template's TTL left in",
		harm: "A job that ends while the operator is down is taken by its TTL, and how it ended is lost.",
		edits: []edit{
			{"internal/jobspec/jobspec.go", "\tspec.TTLSecondsAfterFinished = nil\n", ""},
		},
		suites: []suite{model},
	},
	{
		name: "success trusted without its pod",
		harm: "A backfill whose pod was deleted and took SIGTERM with exit code 0 counts as done.",
		edits: []edit{
			{"internal/stream/evidence.go", "return slices.ContainsFunc(pods, func(p corev1.Pod) bool {", "return true || slices.ContainsFunc(pods, func(p corev1.Pod) bool {"},
		},
		suites: []suite{stories, model},
	},
	{
		name: "failure kept only as a Job",
		harm: "A failed stream starts again by itself as soon as somebody, or a TTL, deletes the failed job.",
		edits: []edit{
			{
				"internal/stream/facts.go", "f.Failure = w.failureState()",
				`if r := w.stream.Status.Failure; r != nil && slices.ContainsFunc(w.jobs, func(j batchv1.Job) bool { return j.UID == r.JobUID }) {
					f.Failure = w.failureState()
				}`,
			},
		},
		suites: []suite{model},
	},
	{
		name: "completed read back from spec after the end",
		harm: "A request that has ended is served again when its manifest is applied again.",
		edits: []edit{
			{"internal/stream/facts.go", "q.Spec.Completed || q.Status.Phase.Final()", "q.Spec.Completed"},
			{"internal/backfill/line.go", "q.Spec.Completed || q.Status.Phase.Final()", "q.Spec.Completed"},
		},
		suites: []suite{model},
	},
}
