// Package faults_test lets the operator die or stand still at every one of its
// writes, over a real API server and a real Job controller. See README.md.
package faults_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/onsi/gomega"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/arcane-streaming/arcane-operator/test/cluster/testbed"
	"github.com/arcane-streaming/arcane-operator/test/story"
)

// everything asks for every step of every scenario instead of the fixed sample.
var everything = flag.Bool("all", false, "try every step of every scenario, not only the fixed sample")

// atOnce is how many scenarios are told at the same time: they wait more than they work.
const atOnce = 6

// ground is the control plane that all scenarios share, each in a namespace of its own.
var ground *story.Stage

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// A sentence of a story that turns out untrue ends its own scenario only; see told.
	gomega.RegisterFailHandler(func(message string, _ ...int) { panic(untrue(message)) })
	// Each operator in process has a log of its own.
	ctrllog.SetLogger(logr.Discard())
	code := 1
	err := onGround(context.Background(), func() { code = m.Run() })
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		return 1
	}
	return code
}

// onGround does something with a control plane under it.
func onGround(ctx context.Context, do func()) (err error) {
	slot, err := story.TakeSlot(ctx, "faults")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, slot.Release()) }()
	// What an earlier run left behind when it was killed is of no use to this one.
	if err := testbed.Down(ctx, slot.Name); err != nil {
		return err
	}
	cluster, err := testbed.Up(ctx, testbed.Options{Name: slot.Name})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cluster.Down(ctx)) }()
	if cluster.Existing() {
		return errors.New("the steps are counted in the API server's audit log, so the control plane must be the test's own")
	}
	if ground, err = story.NewStage(cluster); err != nil {
		return err
	}
	ground.Patience = time.Minute
	if err := ground.InstallKinds(ctx); err != nil {
		return err
	}
	if err := ground.Play(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ground.Player.Stop()) }()
	do()
	return nil
}
