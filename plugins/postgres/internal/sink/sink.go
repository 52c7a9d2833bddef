// Package sink keeps a stream's files: whole or not at all, and durable before the caller goes on.
package sink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/fileblob"  // file://
	_ "gocloud.dev/blob/gcsblob"   // gs://
	_ "gocloud.dev/blob/s3blob"    // s3://
	"gocloud.dev/gcerrors"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

// ErrExists is returned by PutNew where somebody has written the key before.
var ErrExists = errors.New("exists already")

// ErrNotFound is returned by Get for a key that is not there.
var ErrNotFound = errors.New("not found")

// Sink is one stream's directory in a bucket. Keys are relative to it.
type Sink struct {
	bucket *blob.Bucket
	// local is the bucket's folder where it is one; nil elsewhere.
	local *localFiles
	base  string
	// patience is how long an operation is tried again before the job gives up.
	patience time.Duration
}

// Open opens the bucket and looks whether it is there.
func Open(ctx context.Context, bucketURL, directory string, patience time.Duration) (*Sink, error) {
	s := &Sink{base: directory + "/", patience: patience}
	parsed, err := url.Parse(bucketURL)
	if err != nil {
		return nil, exit.Configf("spec.sink.bucket: %w", err)
	}
	if parsed.Query().Has("key") || parsed.Scheme == "file" && (parsed.Query().Has("prefix") || parsed.Host != "") {
		return nil, exit.Configf("spec.sink.bucket: want a bucket or a folder, such as s3://name or file:///sink, without key and prefix; spec.sink.prefix is for that")
	}
	if parsed.Scheme == "file" {
		s.local = &localFiles{root: parsed.Path}
		// No sidecar files, and nothing outside the bucket's own folder: the root file system may be read-only.
		query := parsed.Query()
		query.Set("metadata", "skip")
		query.Set("no_tmp_dir", "true")
		parsed.RawQuery = query.Encode()
	}
	if s.bucket, err = blob.OpenBucket(ctx, parsed.String()); err != nil {
		return nil, exit.Configf("spec.sink.bucket: open: %w", err)
	}
	err = s.retry(ctx, "reach the bucket", func(ctx context.Context) error {
		accessible, err := s.bucket.IsAccessible(ctx)
		if err == nil && !accessible {
			return exit.Configf("spec.sink.bucket: there is no such bucket, or its credentials do not allow to list it")
		}
		return err //nolint:wrapcheck // wrapped by retry
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Clear removes the halves of files that a killed writer left behind. Only a
// stream's job calls it: there is one at a time, so nobody else is writing.
func (s *Sink) Clear() error {
	if s.local == nil {
		return nil
	}
	return s.local.clear(s.base)
}

// Close lets go of the bucket.
func (s *Sink) Close() error {
	if err := s.bucket.Close(); err != nil {
		return fmt.Errorf("close the bucket: %w", err)
	}
	return nil
}

// Put writes a file. When it returns, the file is durable and replaces the one before.
func (s *Sink) Put(ctx context.Context, key string, data []byte) error {
	return s.put(ctx, key, data, false)
}

// PutNew writes a file that must not be there yet, else it returns ErrExists.
// Of two writers exactly one succeeds.
func (s *Sink) PutNew(ctx context.Context, key string, data []byte) error {
	return s.put(ctx, key, data, true)
}

func (s *Sink) put(ctx context.Context, key string, data []byte, onlyNew bool) error {
	tries := 0
	err := s.retry(ctx, "write "+key, func(ctx context.Context) error {
		tries++
		if s.local != nil {
			return s.local.write(s.base, key, data, onlyNew)
		}
		err := s.bucket.Upload(ctx, s.base+key, bytes.NewReader(data), &blob.WriterOptions{
			ContentType: "application/octet-stream",
			IfNotExist:  onlyNew,
		})
		if onlyNew && gcerrors.Code(err) == gcerrors.FailedPrecondition {
			return ErrExists
		}
		return err //nolint:wrapcheck // wrapped by retry
	})
	// A try whose answer was lost may have written the file that a later one then meets.
	if errors.Is(err, ErrExists) && tries > 1 {
		if present, readErr := s.Get(ctx, key); readErr == nil && bytes.Equal(present, data) {
			return nil
		}
	}
	return err
}

// Get reads a file.
func (s *Sink) Get(ctx context.Context, key string) ([]byte, error) {
	var data []byte
	err := s.retry(ctx, "read "+key, func(ctx context.Context) error {
		var err error
		data, err = s.bucket.ReadAll(ctx, s.base+key)
		if gcerrors.Code(err) == gcerrors.NotFound {
			return ErrNotFound
		}
		return err //nolint:wrapcheck // wrapped by retry
	})
	return data, err
}

// Delete removes a file; one that is not there is fine.
func (s *Sink) Delete(ctx context.Context, key string) error {
	return s.retry(ctx, "delete "+key, func(ctx context.Context) error {
		err := s.bucket.Delete(ctx, s.base+key)
		if gcerrors.Code(err) == gcerrors.NotFound {
			return nil
		}
		return err //nolint:wrapcheck // wrapped by retry
	})
}

// List returns the keys that begin with prefix, which ends with a slash, in order.
func (s *Sink) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	err := s.retry(ctx, "list "+prefix, func(ctx context.Context) error {
		var err error
		if s.local != nil {
			keys, err = s.local.list(s.base, prefix)
			return err
		}
		keys, err = s.listBucket(ctx, prefix)
		return err
	})
	slices.Sort(keys)
	return keys, err
}

func (s *Sink) listBucket(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	iterator := s.bucket.List(&blob.ListOptions{Prefix: s.base + prefix})
	for {
		object, err := iterator.Next(ctx)
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // wrapped by retry
		}
		keys = append(keys, strings.TrimPrefix(object.Key, s.base))
	}
}

// PutJSON writes a small file of facts.
func (s *Sink) PutJSON(ctx context.Context, key string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return s.Put(ctx, key, append(data, '\n'))
}

// PutNewJSON is PutNew for a small file of facts.
func (s *Sink) PutNewJSON(ctx context.Context, key string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	return s.PutNew(ctx, key, append(data, '\n'))
}

// GetJSON reads a small file of facts.
func (s *Sink) GetJSON(ctx context.Context, key string, into any) error {
	data, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// longestTry is how many times the patience one try may take: a bucket that takes a
// request and never answers it would else stop a stream for ever.
const longestTry = 10

func (s *Sink) once(ctx context.Context, operation func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, longestTry*s.patience)
	defer cancel()
	return operation(ctx)
}

// retry tries again what may work a moment later, and judges the error that remains.
func (s *Sink) retry(ctx context.Context, what string, operation func(context.Context) error) error {
	deadline := time.Now().Add(s.patience)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		err := s.once(ctx, operation)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ErrExists), errors.Is(err, ErrNotFound):
			return fmt.Errorf("%s: %w", what, err)
		case exit.Coded(err):
			return err
		case isUsersToSolve(err):
			return exit.Configf("spec.sink.bucket: %s: %w", what, err)
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", what, err)
		case time.Now().After(deadline):
			return exit.Transientf("%s: %w", what, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func isUsersToSolve(err error) bool {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, errReadOnly) {
		return true
	}
	switch gcerrors.Code(err) {
	case gcerrors.NotFound, gcerrors.PermissionDenied, gcerrors.InvalidArgument, gcerrors.Unimplemented:
		return true
	default:
		return false
	}
}
