package e2e

// This file is a bucket that misbehaves on demand: it kills its process at a given write, waits, fails or panics. It stores in a folder, like file://, and lives inside the processes that the tests start.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"
)

const (
	// scheme of the bucket's URLs.
	scheme = "test"
	// envKillAt is the number of the write (or delete) at which the process kills itself.
	envKillAt = "ARCANE_TEST_KILL_AT"
	// envKillAfter: the write is made first, so that only its answer is lost.
	envKillAfter = "ARCANE_TEST_KILL_AFTER"
	// envHold matches keys whose write waits until the file envHold + "release" is in the bucket's folder.
	envHold = "ARCANE_TEST_HOLD"
	// envPanic and envFail match keys whose write panics or fails.
	envPanic = "ARCANE_TEST_PANIC"
	envFail  = "ARCANE_TEST_FAIL"
	// holdingFile and releaseFile are how test and bucket talk.
	holdingFile = "holding"
	releaseFile = "release"
)

func registerTestBuckets() {
	blob.DefaultURLMux().RegisterBucket(scheme, opener{})
}

type opener struct{}

func (opener) OpenBucketURL(_ context.Context, u *url.URL) (*blob.Bucket, error) {
	killAt, _ := strconv.ParseInt(os.Getenv(envKillAt), 10, 64)
	return blob.NewBucket(&testBucket{
		folder:    u.Path,
		killAt:    killAt,
		killAfter: os.Getenv(envKillAfter) != "",
		hold:      pattern(envHold),
		panics:    pattern(envPanic),
		fails:     pattern(envFail),
	}), nil
}

func pattern(env string) *regexp.Regexp {
	if text := os.Getenv(env); text != "" {
		return regexp.MustCompile(text)
	}
	return regexp.MustCompile(`^$`)
}

type testBucket struct {
	folder              string
	writes              atomic.Int64
	killAt              int64
	killAfter           bool
	hold, panics, fails *regexp.Regexp
}

var errMisbehaving = errors.New("the bucket misbehaves, as the test wants")

// change makes one change to the bucket, or dies at it.
func (b *testBucket) change(key string, carryOut func() error) error {
	number := b.writes.Add(1)
	if number == b.killAt && !b.killAfter {
		die()
	}
	if b.panics.MatchString(key) {
		panic("the bucket panics, as the test wants")
	}
	if b.fails.MatchString(key) {
		return errMisbehaving
	}
	if b.hold.MatchString(key) {
		if err := b.wait(); err != nil {
			return err
		}
	}
	err := carryOut()
	if number == b.killAt {
		die()
	}
	return err
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (b *testBucket) wait() error {
	if err := os.WriteFile(filepath.Join(b.folder, holdingFile), nil, 0o600); err != nil {
		return err
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		if _, err := os.Stat(filepath.Join(b.folder, releaseFile)); err == nil {
			break
		}
	}
	return nil
}

func (b *testBucket) path(key string) string { return filepath.Join(b.folder, filepath.FromSlash(key)) }

func (b *testBucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return gcerrors.NotFound
	case errors.Is(err, fs.ErrExist):
		return gcerrors.FailedPrecondition
	default:
		return gcerrors.Unknown
	}
}

func (b *testBucket) As(any) bool             { return false }
func (b *testBucket) ErrorAs(error, any) bool { return false }
func (b *testBucket) Close() error            { return nil }

func (b *testBucket) Attributes(_ context.Context, key string) (*driver.Attributes, error) {
	info, err := os.Stat(b.path(key))
	if err != nil {
		return nil, err
	}
	return &driver.Attributes{Size: info.Size(), ModTime: info.ModTime()}, nil
}

// ListPaged gives two keys at a time, so that paging is used.
func (b *testBucket) ListPaged(_ context.Context, options *driver.ListOptions) (*driver.ListPage, error) {
	var keys []string
	err := filepath.WalkDir(b.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(b.folder, path)
		if key := filepath.ToSlash(relative); strings.HasPrefix(key, options.Prefix) && key > string(options.PageToken) {
			keys = append(keys, key)
		}
		return err
	})
	sort.Strings(keys)
	page := &driver.ListPage{}
	for _, key := range keys[:min(2, len(keys))] {
		page.Objects = append(page.Objects, &driver.ListObject{Key: key})
	}
	if len(keys) > 2 {
		page.NextPageToken = []byte(keys[1])
	}
	return page, err
}

type reader struct {
	io.Reader
	size int64
}

func (r reader) Close() error { return nil }
func (r reader) As(any) bool  { return false }
func (r reader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size}
}

func (b *testBucket) NewRangeReader(_ context.Context, key string, _, _ int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	data, err := os.ReadFile(b.path(key))
	if err != nil {
		return nil, err
	}
	return reader{bytes.NewReader(data), int64(len(data))}, nil
}

type writer struct {
	bytes.Buffer
	close func(data []byte) error
}

func (w *writer) Close() error { return w.close(w.Bytes()) }

func (b *testBucket) NewTypedWriter(ctx context.Context, key, _ string, options *driver.WriterOptions) (driver.Writer, error) {
	return &writer{close: func(data []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return b.change(key, func() error { return b.write(key, data, options.IfNotExist) })
	}}, nil
}

func (b *testBucket) write(key string, data []byte, onlyNew bool) error {
	path := b.path(key)
	if _, err := os.Stat(path); err == nil && onlyNew {
		return fs.ErrExist
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	partial := filepath.Join(b.folder, "partial")
	if err := os.WriteFile(partial, data, 0o600); err != nil {
		return err
	}
	return os.Rename(partial, path)
}

func (b *testBucket) Copy(context.Context, string, string, *driver.CopyOptions) error {
	return errMisbehaving
}

func (b *testBucket) Delete(_ context.Context, key string, _ *driver.DeleteOptions) error {
	return b.change(key, func() error { return os.Remove(b.path(key)) })
}

func (b *testBucket) SignedURL(context.Context, string, *driver.SignedURLOptions) (string, error) {
	return "", errMisbehaving
}

// misbehave makes the stream's jobs use the misbehaving bucket, in the same folder.
func (s *stream) misbehave(env ...string) {
	s.target["bucket"] = scheme + "://" + s.sink
	s.env = env
}

// behave takes that back.
func (s *stream) behave() {
	s.target["bucket"] = "file://" + s.sink
	s.env = nil
	for _, name := range []string{holdingFile, releaseFile} {
		_ = os.Remove(filepath.Join(s.sink, name))
	}
}

// holding waits until the bucket holds a write.
func (s *stream) holding() {
	s.t.Helper()
	eventually(s.t, "the bucket holds a write", func() bool {
		_, err := os.Stat(filepath.Join(s.sink, holdingFile))
		return err == nil
	})
}

// release lets the bucket go on, for good.
func (s *stream) release() {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.sink, releaseFile), nil, 0o600); err != nil {
		s.t.Fatal(err)
	}
}
