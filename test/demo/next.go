// What to try after the demo.

package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// kubectl is the one that was built beside the cluster, with the cluster's configuration.
func (d *demo) kubectl() string {
	return fmt.Sprintf("KUBECONFIG=%s %s", d.cluster.Kubeconfig(), d.cluster.Bin("kubectl"))
}

const next = `
The cluster runs on, and the stream with it. In a shell, in this folder:

  export KUBECONFIG={{KUBECONFIG}} PATH={{BIN}}:$PATH

  kubectl get strm,bfr,jobs,pods                  # all that there is
  kubectl describe stream {{STREAM}}                # its conditions, its history, its events
  kubectl logs -f -l arcane/stream-id={{STREAM}}    # what the plugin says
  go run ./test/demo write                        # let pgbench write, until Ctrl-C
  go run ./test/demo verify                       # compare every row, also meanwhile

  kubectl patch stream {{STREAM}} --type=merge -p '{"spec":{"suspended":true}}'     # suspend
  kubectl patch stream {{STREAM}} --type=merge -p '{"spec":{"suspended":false}}'    # resume
  kubectl create -f test/demo/backfill.yaml       # a BackfillRequest; watch it with: kubectl get bfr -w
  kubectl delete pod -l arcane/stream-id={{STREAM}} # another one takes over
  kubectl delete stream {{STREAM}}                  # then drop its replication slot: go run ./test/demo cleanup
  kubectl apply -f test/demo/stream.yaml          # it begins anew
  ls -R {{FILES}}

make demo-down removes all.
`

func (d *demo) tellNext() {
	text := strings.NewReplacer(
		"{{KUBECONFIG}}", d.cluster.Kubeconfig(), "{{BIN}}", filepath.Dir(d.cluster.Bin("kubectl")),
		"{{STREAM}}", streamName, "{{FILES}}", d.plugin.SinkFolder(),
	).Replace(next)
	d.out.title("%s", strings.TrimSpace(text))
}
