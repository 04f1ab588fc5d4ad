# Everything a newcomer needs: make demo, make test. Needs Go and make.

VERSION ?= $(shell cat VERSION)
REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null)
VERSION_PACKAGE = github.com/prometheus/common/version
LDFLAGS = -X $(VERSION_PACKAGE).Version=$(VERSION) -X $(VERSION_PACKAGE).Revision=$(REVISION)

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
REVIVE = github.com/mgechev/revive@v1.17.0
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME ?= 30s
RUDE_TIME ?= 1s
LARGE ?= 500000

.PHONY: all build run demo test test-long e2e browser browser-large screenshots rude flood outage lint vulncheck fuzz fuzz-keep crashtest cost latency bench dashboards docs golden clean

all: lint test build

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

# The exporter alone, with its defaults. Ctrl-C ends it.
run: build
	bin/smithproxy_exporter

# The exporter with its defaults and three simulated proxies. Ctrl-C ends both, and so does the end of the terminal, which
# would only make the exporter reload.
demo: build
	@echo; \
	echo '  pages        http://localhost:10932/'; \
	echo '  metrics      http://localhost:10932/metrics'; \
	echo '  Ctrl-C ends the demo.'; \
	echo; \
	trap 'trap "" HUP INT TERM; ended=1; kill $$sim 2>/dev/null' HUP INT TERM; \
	bin/smithproxy_exporter & exporter=$$!; \
	bin/smithproxy_sim --url=http://localhost:5000/webhook/ --secret-file=data/webhook-secret --wait=15s \
		--generation=2026 --quic-share=0.02 --proxies=3 --first-ping=1s --ping-interval=10s --info-delay-max=3s --drain=2s & sim=$$!; \
	test -z "$$ended" || kill $$sim; \
	while kill -0 $$sim 2>/dev/null; do wait $$sim; done; \
	kill $$exporter && wait $$exporter

# The race detector needs a C compiler; without one the tests run without it.
RACE = $(shell command -v $$(go env CC) >/dev/null 2>&1 && echo -race)

# All tests that take seconds. Package track has no goroutines: the race detector would only slow its exhaustive tests.
test:
	go test $(RACE) -short -timeout 10m $$(go list ./... | grep -v '/exporter/track$$')
	go test -short -timeout 10m ./exporter/track

# The tests that make test leaves out or cuts short: crashes, outages, restarts and a fleet of faulty proxies against the
# whole exporter, for a few seconds each. make crashtest, outage and latency play some of them for longer.
test-long:
	go test $(RACE) -timeout 20m ./cmd/smithproxy_exporter ./exporter/access ./exporter/web

lint:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }
	go vet ./...
	go vet -tags e2e,rude,browser ./test/...
	go run $(STATICCHECK) ./...
	go run $(STATICCHECK) -tags e2e,rude,browser ./test/...
	go run $(REVIVE) -config revive.toml -formatter unix ./...

# Known vulnerabilities in what is called of the dependencies. Needs the database of the Go project; where it cannot be
# reached, that is said and nothing is checked.
vulncheck:
	@out=$$(go run $(GOVULNCHECK) ./... 2>&1); status=$$?; echo "$$out"; \
	if [ $$status -ne 0 ] && echo "$$out" | grep -q 'fetching vulnerabilities'; then \
		echo '!!! NOT CHECKED for known vulnerabilities: the database cannot be reached.' >&2; status=0; fi; \
	exit $$status

# Everything between real servers: Prometheus and Alertmanager, which are installed if they are missing
# (apt), and a collector and Jaeger, which are built from source at the first run.
e2e:
	test/e2e/run

# The pages in Chromium, with simulated proxies behind them. Installs what is missing (apt, npm).
browser:
	test/browser/run -v

# The same with LARGE finished connections, and two fifths as many open ones: some ten minutes.
browser-large:
	test/browser/run -v -run '^TestLarge$$' -large $(LARGE)

# Pictures of all pages, light and dark, in the folder screenshots.
screenshots:
	test/browser/run -run '^Test(Busy|FirstRun)$$/^(pages|other_states)$$' -screenshots $(CURDIR)/screenshots

# Rude clients against the exporter, each for RUDE_TIME; from 10s on the p99 of access-requests is judged.
rude:
	go test -tags rude -run '^TestRude$$' -count 1 -timeout 60m -v ./test/rude -rude.time $(RUDE_TIME) $(RUDE_FLAGS)

# Each fuzz target for FUZZTIME.
fuzz:
	go test -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FUZZTIME) ./exporter/event
	go test -run '^$$' -fuzz '^FuzzParseSession$$' -fuzztime $(FUZZTIME) ./exporter/event
	go test -run '^$$' -fuzz '^FuzzRestore$$' -fuzztime $(FUZZTIME) ./exporter/track
	go test -run '^$$' -fuzz '^FuzzURL$$' -fuzztime $(FUZZTIME) ./exporter/privacy
	go test -run '^$$' -fuzz '^FuzzSession$$' -fuzztime $(FUZZTIME) ./exporter/privacy
	go test -run '^$$' -fuzz '^FuzzHandler$$' -fuzztime $(FUZZTIME) ./exporter/webhook
	go test -run '^$$' -fuzz '^FuzzWholeWay$$' -fuzztime $(FUZZTIME) ./exporter/pipeline
	go test -run '^$$' -fuzz '^FuzzServerName$$' -fuzztime $(FUZZTIME) ./collector
	go test -run '^$$' -fuzz '^FuzzParse$$' -fuzztime $(FUZZTIME) ./exporter/search
	go test -run '^$$' -fuzz '^FuzzDecode$$' -fuzztime $(FUZZTIME) ./exporter/history

# Keeps what fuzzing has found interesting: from the cache of Go into testdata, where every test run plays it.
fuzz-keep:
	@cache=$$(go env GOCACHE)/fuzz/smithproxy_exporter; cd $$cache 2>/dev/null || { echo 'run make fuzz first'; exit 1; }; \
	for target in $$(find . -mindepth 1 -type d -name 'Fuzz*'); do \
		kept="$(CURDIR)/$$(dirname $$target)/testdata/fuzz/$$(basename $$target)"; mkdir -p "$$kept"; \
		find $$target -type f -size -8k -exec cp -n {} "$$kept/" \; ; done

# Kills the exporter 25 times under full load, with a backend that answers and with one that fails, and at 300 of
# its store's operations on files.
crashtest:
	go test -run '^TestCrash' -count 1 -v -timeout 30m ./cmd/smithproxy_exporter -crash.rounds 25 -crash.operations 300

# CPU time of an event, compared with an empty handler: see docs/performance.md.
cost:
	go test -run '^TestCost$$' -count 1 -v ./cmd/smithproxy_exporter -cost

# Stops the backend while 60,000 connections end, and starts it again.
outage:
	go test -run '^TestOutage$$' -count 1 -v -timeout 20m ./cmd/smithproxy_exporter -outage.connections 60000

# Sends a million server names to a running exporter, and checks series, scrape times, memory and sums.
flood:
	go test -run '^TestFlood$$' -count 1 -timeout 30m -v ./cmd/smithproxy_exporter -flood

# Access-requests with the disk blocked, and every event with 200,000 open connections and readers of the page, beside an empty
# handler; searches among 500,000 finished connections. Needs root and FUSE, to block the disk.
latency:
	go test -run '^Test(Latency|Pause|Search)$$' -count 1 -v -timeout 20m ./cmd/smithproxy_exporter -latency

# Benchmarks of access decisions, and of reading a list of a million entries.
bench:
	go test -run '^$$' -bench . -benchtime 1s ./exporter/access

# The JSON of the Grafana dashboards, from their code; make test fails when they differ.
dashboards:
	go run ./dashboards/generate

# The tables of docs/metrics.md, from the code; make test fails when they differ.
docs:
	go run ./collector/generate

# Regenerate the golden files. Review the difference.
golden:
	go test ./cmd/smithproxy_exporter -run '^TestReplay$$' -update
	go test ./collector -update

clean:
	rm -rf bin
