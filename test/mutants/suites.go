package main

// This file names the suites: the laws and the stories, all of them older than the mutants.

var (
	// stories are the users', each also with every single write lost.
	stories = suite{
		name: "stories", pkg: "./internal/stream",
		tests: []string{"TestEveryStoryEndsWell", "TestAWriteIsLost"},
	}
	// model is the world in which anything may happen at any time. The seed is fixed,
	// so that the same source gives the same answer; without a bug a part of what
	// `make test` draws anyway is enough.
	model = suite{
		name: "model", pkg: "./test/model",
		tests: []string{"TestTheLawsHoldWhateverHappens"},
		args:  []string{"-model.steps=400000", "-rapid.seed=3", "-rapid.nofailfile", "-rapid.shrinktime=1s"},
		brief: []string{"-model.steps=80000"},
	}
)
