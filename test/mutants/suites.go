package main

// This file names the suites: the laws and the stories, all of them older than the mutants.

var (
	// stories are the users', each also with every single write lost.
	stories = suite{
		name: "stories", pkg: "./internal/stream",
		tests: []string{"TestEveryStoryEndsWell", "TestAWriteIsLost"},
	}
	// model is the small world of one stream's hands in which anything may happen at
	// any time: it shows more of them in a second than test/model, where class,
	// templates and the other controllers live as well. The seed is fixed, so that the
	// same source gives the same answer.
	model = suite{
		name: "model", pkg: "./internal/stream",
		tests: []string{"TestTheLawsHoldWhateverHappens"},
		args:  []string{"-rapid.checks=5000", "-rapid.seed=3", "-rapid.nofailfile", "-rapid.shrinktime=1s"},
		brief: []string{"-rapid.checks=1000"},
	}
)
