package install

// This file packs the images for suites that run at once.

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// MakeImages packs the source as it is now, however a test was started. It lets one suite at a time do so: they write the
// same files.
func MakeImages(ctx context.Context, progress io.Writer) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "bin"), 0o755); err != nil {
		return fmt.Errorf("make the folder of images: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(root, "bin", ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the folder of images: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the folder of images: %w", err)
	}
	images := exec.CommandContext(ctx, "make", "--no-print-directory", "image")
	images.Dir, images.Stdout, images.Stderr = root, progress, progress
	if err := images.Run(); err != nil {
		return fmt.Errorf("make image: %w", err)
	}
	return nil
}
