// Command image makes a multi-platform OCI archive without a daemon, as the last stage of a Dockerfile describes it:
//
//	image -dockerfile=deploy/Dockerfile -arg=VERSION=1.2.3 -name=1.2.3 -out=image.tar amd64=DIR arm64=DIR
//
// A directory DIR stands for the stage that the Dockerfile copies from. All times are SOURCE_DATE_EPOCH, so that the same
// directories give the same bytes.
package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	dockerfile := flags.String("dockerfile", "", "the Dockerfile")
	name := flags.String("name", "", "the tag in the archive")
	out := flags.String("out", "", "the archive")
	maxSize := flags.Int64("max-size", 0, "limit of the files of one platform, in bytes, uncompressed")
	arguments := map[string]string{}
	flags.Func("arg", "a build argument, NAME=VALUE", func(text string) error {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return fmt.Errorf("%q is not NAME=VALUE", text)
		}
		arguments[key] = value
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	text, err := os.ReadFile(*dockerfile)
	if err != nil {
		return err
	}
	r, err := parse(string(text), arguments)
	if err != nil {
		return fmt.Errorf("%s: %w", *dockerfile, err)
	}
	var platforms []platform
	for _, argument := range flags.Args() {
		architecture, directory, ok := strings.Cut(argument, "=")
		if !ok {
			return fmt.Errorf("%q is not ARCHITECTURE=DIRECTORY", argument)
		}
		platforms = append(platforms, platform{architecture, directory})
	}
	for _, p := range platforms {
		size, err := p.size()
		if err != nil {
			return err
		}
		if size > *maxSize {
			return fmt.Errorf("the files for %s take %d bytes, the limit is %d", p.architecture, size, *maxSize)
		}
	}
	index, err := r.index(platforms, *name, time.Unix(epoch, 0).UTC())
	if err != nil {
		return err
	}
	return writeArchive(*out, index, time.Unix(epoch, 0).UTC())
}
