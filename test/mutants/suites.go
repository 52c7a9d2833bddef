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
	// whole is the world of all controllers, where there are schedules, containers beside the main one, limits by which
	// the kubelet kills, and no webhooks. Here too the seed is fixed.
	whole = suite{
		name: "whole", pkg: "./test/model",
		tests: []string{"TestTheLawsHoldWhateverHappens"},
		args:  []string{"-model.steps=400000", "-rapid.seed=3", "-rapid.nofailfile", "-rapid.shrinktime=1s"},
		brief: []string{"-model.steps=50000"},
	}
	// tales are the stories of that world, without any chance.
	tales = suite{name: "tales", pkg: "./test/model", tests: []string{"TestStoriesWithAWatchThatFails"}}
)
