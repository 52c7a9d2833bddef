// The check that a binary needs nothing but the kernel.

package pack

import (
	"bytes"
	"debug/elf"
	"fmt"
)

// static refuses what could not start in an image that holds no libraries; the
// container would only say "no such file or directory".
func static(path string, content []byte) error {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("%s is not a Linux binary: %w", path, err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically and could not start alone: build it with CGO_ENABLED=0", path)
		}
	}
	return nil
}
