package main

// This file is the list of the known bugs: what each does to the user, and to the source.

// catalog is all of them.
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
			{"internal/stream/evidence.go", "judge(j *batchv1.Job, pods []corev1.Pod) (verdict, string) {\n", "judge(j *batchv1.Job, pods []corev1.Pod) (verdict, string) {\n\tif j != nil {\n\t\treturn believed, \"\"\n\t}\n"},
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
			{"internal/backlog/line.go", "q.Spec.Completed || q.Status.Phase.Final()", "q.Spec.Completed"},
		},
		suites: []suite{model},
	},
	{
		name: "a job that is there is adopted",
		harm: "Whoever creates a job under the name of the next run has the operator run theirs.",
		edits: []edit{
			{
				"internal/stream/apply.go", "if apierrors.IsAlreadyExists(err) {\n\t\t\tp.taken",
				`if apierrors.IsAlreadyExists(err) {
					if there := (&batchv1.Job{}); p.Live.Get(ctx, client.ObjectKeyFromObject(job), there) == nil && ownedBy(there, p.stream.UID) {
						p.created, p.obstacle = there, nil
						return nil
					}
					p.taken`,
			},
		},
		suites: []suite{model},
	},
	{
		name: "a CronJob is known by its owner",
		harm: "Whoever creates a CronJob under the stream's name has the operator run what it makes.",
		edits: []edit{
			{"internal/stream/cron.go", "case record != nil && cron.UID == record.UID:", "case record != nil && cron.UID == record.UID, ownedBy(cron, w.stream.UID):"},
			{"internal/stream/cron.go", "return w.cron.Generation == w.stream.Status.CronJob.Generation", "return w.stream.Status.CronJob != nil && w.cron.Generation == w.stream.Status.CronJob.Generation"},
		},
		suites: []suite{whole},
	},
	{
		name: "a run with other pods is let run",
		harm: "Whoever creates a held job under the schedule's name has the operator run other pods than the schedule's.",
		edits: []edit{
			{"internal/stream/cron.go", "jobspec.Differs(j, w.cron) != \"\" {", "jobspec.Differs(j, w.cron) != \"\" && len(w.jobs) == 0 {"},
		},
		suites: []suite{whole},
	},
	{
		name: "exit code 0 believed without the mark that the class declares",
		harm: "A backfill that a limit or a probe of its pod cut short counts as done, although its plugin never said so.",
		edits: []edit{
			{"internal/stream/evidence.go", "\treturn false\n}\n\n// succeededAt", "\treturn true\n}\n\n// succeededAt"},
		},
		suites: []suite{tales, whole},
	},
	{
		name: "exit code 0 believed where the kubelet may have killed",
		harm: "A backfill that a limit or a probe of its pod cut short counts as done where the class declares no mark.",
		edits: []edit{
			{"internal/stream/evidence.go", "len(killers) > 0 {", "len(killers) > 0 && p.Status.Phase == corev1.PodFailed {"},
		},
		suites: []suite{tales, whole},
	},
	{
		name: "an ended main container ignored beside one that runs",
		harm: "A plugin has ended and a container beside it runs on: the stream looks healthy and moves no data, for ever.",
		edits: []edit{
			{"internal/stream/evidence.go", "if last == nil || !alive(last) || last.DeletionTimestamp != nil", "if last == nil || alive(last) || last.DeletionTimestamp != nil"},
		},
		suites: []suite{whole},
	},
	{
		name: "a pod that failed by itself replaced as disrupted",
		harm: "A plugin that fails after it has run for long is started again for ever, and nobody is told that it fails.",
		edits: []edit{
			{"internal/stream/facts.go", "case w.disturbed(last):\n\t\treturn lifecycle.PodTakenAway", "case w.disturbed(last), !alive(last) && w.ranWell(last):\n\t\treturn lifecycle.PodTakenAway"},
		},
		suites: []suite{whole},
	},
	{
		name: "any number of a run believed",
		harm: "One job with a huge number in its name uses up all numbers of the stream's runs: it never starts again.",
		edits: []edit{
			{"internal/stream/ours.go", "if run > w.now.Add(aheadOfClock).Unix() {", "if run > jobspec.MaxRun+w.now.Add(aheadOfClock).Unix() {"},
		},
		suites: []suite{whole},
	},
	{
		name: "pods found by their labels only",
		harm: "Whoever takes the labels off a pod has a second job write beside it.",
		edits: []edit{
			{"internal/stream/observe.go", "for i := range named {", "for i := range named[:0] {"},
			{"internal/stream/departed.go", "for uid, name := range r.departed.of(stream) {", "for uid, name := range map[types.UID]string{} {"},
		},
		suites: []suite{model},
	},
	{
		name: "a completion believed that no status knows",
		harm: "Whoever may update requests has a backfill counted as completed that never ran.",
		edits: []edit{
			{
				"internal/backfill/decide.go", "case signature != \"\":\n\t\treturn w.telling(v1.RequestCancelled, v1.ReasonRequestCancelled,",
				"case signature != \"\":\n\t\treturn w.telling(v1.RequestCompleted, v1.ReasonRequestCompleted,",
			},
		},
		suites: []suite{whole},
	},
}
