package sink

// This file tests what is promised to those who write to a bucket and read from it.

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

func open(t *testing.T) (*Sink, string) {
	t.Helper()
	folder := t.TempDir()
	s, err := Open(t.Context(), "file://"+folder, "ns/stream-uid", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, filepath.Join(folder, "ns", "stream-uid")
}

func TestFilesComeBack(t *testing.T) {
	t.Parallel()
	s, folder := open(t)
	ctx := t.Context()
	if _, err := s.Get(ctx, "a/x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	if keys, err := s.List(ctx, "a/"); err != nil || len(keys) != 0 {
		t.Errorf("a folder that is not there: %v, %v", keys, err)
	}
	for _, key := range []string{"a/y", "a/b/z", "a/x", "ab/c"} {
		if err := s.Put(ctx, key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Put(ctx, "a/x", []byte("again")); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Get(ctx, "a/x"); err != nil || string(data) != "again" {
		t.Errorf("got %q, %v", data, err)
	}
	keys, err := s.List(ctx, "a/")
	if want := []string{"a/b/z", "a/x", "a/y"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("got %v, %v; want %v", keys, err, want)
	}
	for range 2 {
		if err := s.Delete(ctx, "a/x"); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(folder, temporary)); err != nil || len(left) != 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
	}
}

func TestOfManyWritersOneIsFirst(t *testing.T) {
	t.Parallel()
	s, _ := open(t)
	var first atomic.Int64
	var wait sync.WaitGroup
	for number := range 16 {
		wait.Go(func() {
			err := s.PutNew(t.Context(), "part.json", fmt.Appendf(nil, "%d", number))
			if err == nil {
				first.Add(1)
			} else if !errors.Is(err, ErrExists) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if first.Load() != 1 {
		t.Errorf("%d writers were first", first.Load())
	}
}

func TestClearRemovesHalvesOnly(t *testing.T) {
	t.Parallel()
	s, folder := open(t)
	if err := s.Put(t.Context(), "whole", []byte("x")); err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(folder, temporary, "half")
	if err := os.WriteFile(half, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the half of a file is still there: %v", err)
	}
	if data, err := s.Get(t.Context(), "whole"); err != nil || string(data) != "x" {
		t.Errorf("the whole file reads %q, %v", data, err)
	}
}

func TestWhatOnlyTheUserCanSolve(t *testing.T) {
	t.Parallel()
	here := t.TempDir()
	for _, url := range []string{"file:///no/such/folder", "nothing://x", "file://%zz", "s3://", "file://./" + filepath.Base(here), "file://" + here + "?prefix=a/", "file://" + here + "?key=a"} {
		s, err := Open(t.Context(), url, "d", time.Second)
		if exit.Code(err) != exit.Config {
			t.Errorf("%s: %v (exit %d), want exit %d", url, err, exit.Code(err), exit.Config)
		}
		if err == nil {
			_ = s.Close()
		}
	}
	s, folder := open(t)
	if err := os.RemoveAll(filepath.Dir(filepath.Dir(folder))); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), "x", nil); exit.Code(err) != exit.Config {
		t.Errorf("a bucket that is gone: %v, want exit %d", err, exit.Config)
	}
}

// TestABucketThatNeverAnswers is given up for the moment.
func TestABucketThatNeverAnswers(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	for name, value := range map[string]string{
		"AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_DOMAIN": listener.Addr().String(), "AZURE_STORAGE_PROTOCOL": "http",
		"AZURE_STORAGE_IS_LOCAL_EMULATOR": "true", "AZURE_STORAGE_SAS_TOKEN": "sv=1",
	} {
		t.Setenv(name, value)
	}
	if _, err := Open(t.Context(), "azblob://container", "d", 100*time.Millisecond); exit.Code(err) != exit.Transient {
		t.Errorf("%v (exit %d), want exit %d", err, exit.Code(err), exit.Transient)
	}
}
