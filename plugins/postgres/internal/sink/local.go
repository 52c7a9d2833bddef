package sink

// This file writes to a local folder. fileblob renames without fsync, so that a power cut may leave a file that is named but empty; here a name appears only after its content is on disk.

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/arcane-streaming/arcane-operator/plugins/postgres/internal/exit"
)

var errReadOnly = syscall.EROFS

// localFiles is a bucket that is a folder.
type localFiles struct {
	root string
}

// temporary is where files are written before they get their names: on the same
// file system, and out of sight of every listing.
const temporary = ".tmp"

func (l *localFiles) path(base, key string) string {
	return filepath.Join(l.root, filepath.FromSlash(base+key))
}

// write puts the content on disk, then the name, then the folder that holds the name.
func (l *localFiles) write(base, key string, data []byte, onlyNew bool) (err error) {
	final := l.path(base, key)
	if err := l.makeFolder(filepath.Dir(final)); err != nil {
		return err
	}
	if err := l.makeFolder(l.path(base, temporary)); err != nil {
		return err
	}
	partial := l.path(base, temporary+"/"+rand.Text())
	defer func() {
		if removeErr := os.Remove(partial); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("remove a temporary file: %w", removeErr))
		}
	}()
	if err := writeSynced(partial, data); err != nil {
		return err
	}
	if onlyNew {
		// A link, unlike a rename, never replaces a file.
		if err := os.Link(partial, final); errors.Is(err, fs.ErrExist) {
			return ErrExists
		} else if err != nil {
			return fmt.Errorf("name the file: %w", err)
		}
	} else if err := os.Rename(partial, final); err != nil {
		return fmt.Errorf("name the file: %w", err)
	}
	return syncFolder(filepath.Dir(final))
}

func writeSynced(path string, data []byte) (err error) {
	// Other users read the sink, by the volume's group or as anybody.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // see above
	if err != nil {
		return fmt.Errorf("create a file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Write(data); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("bring a file to disk: %w", err)
	}
	return nil
}

// makeFolder makes a folder and its parents durable, up to the bucket's own, which must exist.
func (l *localFiles) makeFolder(folder string) error {
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	if folder == l.root || folder == filepath.Dir(folder) {
		return fmt.Errorf("the bucket's folder %s: %w", l.root, fs.ErrNotExist)
	}
	parent := filepath.Dir(folder)
	if err := l.makeFolder(parent); err != nil {
		return err
	}
	// Other users read the sink, by the volume's group or as anybody.
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // see above
		return fmt.Errorf("make a folder: %w", err)
	}
	return syncFolder(parent)
}

func syncFolder(folder string) (err error) {
	file, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("open a folder: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := file.Sync(); err != nil {
		return fmt.Errorf("bring a folder to disk: %w", err)
	}
	return nil
}

// list walks itself, because fileblob's listing passes over folders that it cannot read: unknown is not absent.
func (l *localFiles) list(base, prefix string) ([]string, error) {
	var keys []string
	top := l.path(base, strings.TrimSuffix(prefix, "/"))
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			// The folder is not there yet, or a file went while others were read.
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(l.path(base, ""), path)
		keys = append(keys, filepath.ToSlash(relative))
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("walk a folder: %w", err)
	}
	return keys, nil
}

// clear removes what a process left behind that was killed while it wrote.
func (l *localFiles) clear(base string) error {
	entries, err := os.ReadDir(l.path(base, temporary))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return exit.Configf("spec.sink.bucket: list temporary files: %w", err)
	}
	for _, entry := range entries {
		if err := os.Remove(l.path(base, temporary+"/"+entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return exit.Configf("spec.sink.bucket: remove temporary files: %w", err)
		}
	}
	return nil
}
