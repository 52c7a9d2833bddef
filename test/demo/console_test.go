package main

// This file tests what the demo prints.

import (
	"bytes"
	"fmt"
	"regexp"
	"testing"
	"time"
)

func TestNumbersAreReadable(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 300172: "300,172", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 40 << 20: "40.0 MiB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestConsoleSaysWholeLines(t *testing.T) {
	var out bytes.Buffer
	c := &console{out: &out, started: time.Now()}
	w := c.lines("cluster")
	for _, part := range []string{"starting ", "etcd\nstarting kubelet \r\nhalf"} {
		fmt.Fprint(w, part)
	}
	got := regexp.MustCompile(` +\d+\.\d s`).ReplaceAllString(out.String(), "T")
	if want := "T  cluster     starting etcd\nT  cluster     starting kubelet\n"; got != want {
		t.Errorf("said %q, want %q", got, want)
	}
}

func TestProgressIsReadFromTheLog(t *testing.T) {
	log := `{"msg":"reading the table"}
{"msg":"progress","part":1,"rows":100000,"bytes":13173726}
not JSON at all
{"msg":"progress","part":2,"rows":200000,"bytes":26459647}
{"msg":"backfill complete","rows":300172`
	found, ok := lastProgress(log, "progress", "backfill complete")
	if want := (progressLine{Message: "progress", Rows: 200000, Bytes: 26459647}); !ok || found != want {
		t.Errorf("found %+v, %t; want %+v", found, ok, want)
	}
	if _, ok := lastProgress(log, "stopped"); ok {
		t.Error("found a line that is not there")
	}
}
