package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// recipe is the last stage of a Dockerfile.
type recipe struct {
	config v1.Config
	copies []copied
}

// copied is a COPY from another stage.
type copied struct {
	source, target string
	uid, gid       int
}

// parse reads the last stage of a Dockerfile. arguments are the build arguments. It knows the instructions that deploy/Dockerfile
// uses, and returns an error for any other.
func parse(dockerfile string, arguments map[string]string) (recipe, error) {
	r := recipe{config: v1.Config{Labels: map[string]string{}}}
	declared := map[string]string{}
	last := strings.LastIndex(dockerfile, "\nFROM ") + 1
	above := strings.Count(dockerfile[:last], "\n")
	for number, line := range strings.Split(dockerfile[last:], "\n") {
		number += above
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, _ := strings.Cut(line, " ")
		switch name {
		case "FROM":
			continue
		case "ARG":
			declared[rest] = arguments[rest]
			continue
		}
		rest = os.Expand(rest, func(variable string) string { return declared[variable] })
		if err := r.instruction(name, rest); err != nil {
			return recipe{}, fmt.Errorf("line %d: %s: %w", number+1, name, err)
		}
	}
	return r, nil
}

func (r *recipe) instruction(name, rest string) (err error) {
	c := &r.config
	switch name {
	case "COPY":
		return r.copy(strings.Fields(rest))
	case "LABEL":
		key, value, err := assignment(rest)
		c.Labels[key] = value
		return err
	case "ENV":
		key, value, err := assignment(rest)
		c.Env = append(c.Env, key+"="+value)
		return err
	case "USER":
		c.User = rest
	case "EXPOSE":
		c.ExposedPorts = set(strings.Fields(rest))
	case "VOLUME":
		var paths []string
		err = json.Unmarshal([]byte(rest), &paths)
		c.Volumes = set(paths)
	case "ENTRYPOINT":
		err = json.Unmarshal([]byte(rest), &c.Entrypoint)
	case "HEALTHCHECK":
		c.Healthcheck, err = healthcheck(rest)
	default:
		return errors.New("is not known here")
	}
	return err
}

func (r *recipe) copy(words []string) error {
	var c copied
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		flag, value, _ := strings.Cut(words[0], "=")
		words = words[1:]
		switch flag {
		case "--from":
		case "--chown":
			if _, err := fmt.Sscanf(value, "%d:%d", &c.uid, &c.gid); err != nil {
				return fmt.Errorf("owner %q: %w", value, err)
			}
		default:
			return fmt.Errorf("flag %s is not known here", flag)
		}
	}
	if len(words) != 2 {
		return errors.New("needs one source and a target")
	}
	c.source, c.target = words[0], words[1]
	r.copies = append(r.copies, c)
	return nil
}

// assignment splits key=value and key="value".
func assignment(text string) (key, value string, err error) {
	key, value, _ = strings.Cut(text, "=")
	if strings.HasPrefix(value, `"`) {
		value, err = strconv.Unquote(value)
	}
	return key, value, err
}

func set(names []string) map[string]struct{} {
	members := map[string]struct{}{}
	for _, name := range names {
		members[name] = struct{}{}
	}
	return members
}

// healthcheck parses flags and CMD [...]. The OCI image specification has no health check; Docker and Podman read it from the
// configuration of an image all the same.
func healthcheck(text string) (*v1.HealthConfig, error) {
	flags, command, ok := strings.Cut(text, "CMD ")
	if !ok {
		return nil, errors.New("has no CMD")
	}
	var h v1.HealthConfig
	if err := json.Unmarshal([]byte(command), &h.Test); err != nil {
		return nil, err
	}
	h.Test = append([]string{"CMD"}, h.Test...)
	for _, word := range strings.Fields(flags) {
		flag, value, _ := strings.Cut(word, "=")
		duration, err := time.ParseDuration(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		switch flag {
		case "--interval":
			h.Interval = duration
		case "--timeout":
			h.Timeout = duration
		case "--start-period":
			h.StartPeriod = duration
		default:
			return nil, fmt.Errorf("flag %s is not known here", flag)
		}
	}
	return &h, nil
}
