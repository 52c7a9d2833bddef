// Command image packs one static binary into a container image in a tar file,
// without a container engine: go run ./test/image --help.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/arcane-streaming/arcane-operator/test/image/pack"
)

const usage = `Packs one static binary into a container image, as a tar file that containerd
("ctr images import"), Docker and Podman ("load") take. No container engine and no
base image is needed. The same binary gives the same image digest.

  go run ./test/image --binary bin/arcane-operator --name localhost/arcane-operator:dev --output bin/arcane-operator.tar

`

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	var image pack.Image
	var output string
	var dirs, entrypoint list
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&image.Binary, "binary", "", "path of the static `file`; it becomes /<base name> in the image")
	flags.StringVar(&image.Name, "name", "", "`reference` of the image, as REGISTRY/NAME:TAG")
	flags.StringVar(&output, "output", "", "tar `file` to write")
	flags.StringVar(&image.User, "user", pack.NonRoot, "numeric `UID:GID` that the image runs as")
	flags.StringVar(&image.Architecture, "arch", "", "architecture of the binary, as Go calls it (default: this machine's)")
	flags.Var(&dirs, "dir", "empty `folder` in the image that the user may write to; may be given several times")
	flags.Var(&entrypoint, "entrypoint", "one `word` of the command, in place of the binary alone; may be given several times")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if image.Binary == "" || image.Name == "" || output == "" || flags.NArg() > 0 {
		return errors.New("--binary, --name and --output are needed, and nothing else (see --help)")
	}
	image.Dirs, image.Entrypoint = dirs, entrypoint
	digest, err := pack.Write(image, output)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s %s\n", output, image.Name, digest)
	return nil
}
