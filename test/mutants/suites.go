package main

// This file names the suites: the laws and the stories, all of them older than the mutants.

var (
	// table is the proof over every observation.
	table = suite{
		name: "table", pkg: "./internal/lifecycle",
		tests: []string{"TestEveryDecisionKeepsTheLaws", "TestTheWorldSettles"},
	}
	// stories are the users', each also with every single write lost.
	stories = suite{
		name: "stories", pkg: "./internal/stream",
		tests: []string{"TestEveryStoryEndsWell", "TestAWriteIsLost"},
	}
	// model is the world in which anything may happen at any time. The seed is fixed,
	// so that the same source gives the same answer.
	model = suite{
		name: "model", pkg: "./internal/stream",
		tests: []string{"TestTheLawsHoldWhateverHappens"},
		args:  []string{"-rapid.checks=2000", "-rapid.seed=1", "-rapid.nofailfile", "-rapid.shrinktime=1s"},
	}
)
